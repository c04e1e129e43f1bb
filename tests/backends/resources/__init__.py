"""Repositories of declared resources on every backend."""
