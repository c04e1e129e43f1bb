"""Mapped classes over the tables of the repositories, for reports: `eitherdb.sql`.

The service imports none of these modules. They load SQLAlchemy's ORM. Sessions only read, because a write
that bypasses the repositories would break versions, search and cursors.
"""
