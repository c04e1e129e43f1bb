"""The base classes of mapped classes."""

from __future__ import annotations

from typing import Any

from sqlalchemy import inspect
from sqlalchemy.ext.asyncio import AsyncAttrs
from sqlalchemy.orm import DeclarativeBase

from backends.sql.schema import METADATA


class MappedRow(AsyncAttrs):
    """A row of a table, with the values that the repositories return."""

    def __repr__(self) -> str:
        """Show the loaded columns. Nothing is loaded for it."""
        values: dict[str, Any] = self.__dict__
        names = [column.key for column in inspect(type(self)).local_table.columns]
        shown = ", ".join(f"{name}={values[name]!r}" for name in names if name in values)
        return f"{type(self).__name__}({shown})"


class Base(MappedRow, DeclarativeBase):
    """The base class of EitherDB's own mapped classes. Alembic compares the same metadata."""

    metadata = METADATA
