"""The table in which the migrations of declared resources are recorded.

It is created with the first declared resource, so a database without any does not have it. Alembic's
history does not contain it.
"""

from __future__ import annotations

from sqlalchemy import Column, MetaData, Table

from backends.sql.schema import METADATA
from backends.sql.types import UtcDateTime, text_type

RESOURCE_MIGRATIONS = Table(
    "resource_migrations",
    MetaData(naming_convention=METADATA.naming_convention),
    Column("history", text_type(100), primary_key=True, nullable=False),
    Column("number", text_type(4), primary_key=True, nullable=False),
    Column("summary", text_type(255), nullable=False),
    Column("applied_at", UtcDateTime, nullable=False),
)
