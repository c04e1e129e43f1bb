"""Alembic revisions for PostgreSQL and SQLite; run by `migrator`, never by the `alembic` command."""
