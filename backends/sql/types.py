"""The column types that PostgreSQL and SQLite store differently."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from sqlalchemy import DateTime, LargeBinary, String, Text
from sqlalchemy.types import TypeDecorator

from backends.ids import is_id

if TYPE_CHECKING:
    from sqlalchemy.engine import Dialect

ID_LENGTH_BYTES = 12


class ObjectIdBytes(TypeDecorator[str]):
    """An id: 24 hex digits in Python, 12 raw bytes in the database (`BYTEA`, `BLOB`).

    Bytes sort like the hex digits and like MongoDB's ObjectId. A malformed id is bound as empty bytes,
    which no row has. So a malformed id is an unknown id.
    """

    impl = LargeBinary(ID_LENGTH_BYTES)
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Dialect) -> bytes | None:
        """Convert hex digits to bytes."""
        if value is None:
            return None
        return bytes.fromhex(value) if is_id(value) else b""

    def process_result_value(self, value: bytes | None, dialect: Dialect) -> str | None:
        """Convert bytes to hex digits."""
        return None if value is None else value.hex()


class UtcDateTime(TypeDecorator[datetime]):
    """An aware UTC time: `TIMESTAMPTZ` in PostgreSQL, ISO text without an offset in SQLite."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Convert to naive UTC for SQLite, whose text has no offset."""
        if value is None or dialect.name != "sqlite":
            return value
        return value.astimezone(UTC).replace(tzinfo=None)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Add UTC to naive times; asyncpg returns aware UTC."""
        return value.replace(tzinfo=UTC) if value is not None and value.tzinfo is None else value


def text_type(length: int) -> String:
    """Return a text type that compares by code point. PostgreSQL's default collation is the locale's."""
    return String(length).with_variant(String(length, collation="C"), "postgresql")


LONG_TEXT = Text().with_variant(Text(collation="C"), "postgresql")
