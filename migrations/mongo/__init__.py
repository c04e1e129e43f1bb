"""Numbered steps for MongoDB, and the migrator that applies and records them."""
