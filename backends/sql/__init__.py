"""PostgreSQL and SQLite, one implementation through SQLAlchemy Core."""
