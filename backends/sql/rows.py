"""Raw rows of SQL tables, for the validation of stored rows."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import UTC, date, datetime
from decimal import Decimal
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from sqlalchemy import BigInteger, Boolean, Date, Select, Table, bindparam, select, tuple_, type_coerce
from sqlalchemy.sql.visitors import iterate
from sqlalchemy.types import NullType, TypeEngine

from backends.rows.stored import KINDS, Fields, Place, StoredRow
from backends.rows.unreadable import unreadable, unreadable_resource
from backends.sql.columns import JsonList, JsonText, ScaledDecimal
from backends.sql.tables import SPEC
from backends.sql.types import ID_LENGTH_BYTES, ObjectIdBytes, UtcDateTime

if TYPE_CHECKING:
    from sqlalchemy import Column, ColumnElement

    from backends.errors import UnreadableRow
    from backends.sql.connections import Connections
    from backends.sql.statements import Row, Statement

_KEPT_TABLES = 256


async def read_rows(
    connections: Connections, table: Table, *, by: Sequence[str], start: Place | None, limit: int
) -> list[StoredRow]:
    """See `backends.protocols.Backend`."""
    names = tuple(by) or tuple(column.key for column in table.primary_key)
    statement = _select(table, names, is_walk_of_all=not by, starts=start is not None)
    values = {f"start_{name}": value for name, value in zip(names, start or (), strict=False)}
    found = await connections.run(statement, {**values, "limit": limit})
    return [StoredRow(_read_cells(table, row), tuple(row[name] for name in names)) for row in found]


def unreadable_row(statement: Statement, row: Row, name: str) -> UnreadableRow:
    """Return the error about a row of a statement's result in which a column can't be converted."""
    tables = [each for each in iterate(statement) if isinstance(each, Table)]
    for table in tables:
        if SPEC in table.info:
            return unreadable_resource(table.info[SPEC], _read_cells(table, row), only=name)
    table = min(tables, key=lambda each: KINDS.index(each.name))
    return unreadable(table.name, _read_cells(table, row), only=name)


def _read_cells(table: Table, row: Row) -> Fields:
    """Convert the driver's values to `backends.rows.Fields`."""
    return {name: read(row[name]) for name, read in _readers(table) if name in row}


@lru_cache(_KEPT_TABLES)
def _select(table: Table, names: tuple[str, ...], *, is_walk_of_all: bool, starts: bool) -> Select[Any]:
    """Select the driver's values without SQLAlchemy's type conversion."""
    keys = [table.c[name] for name in names]
    cells: list[ColumnElement[Any]] = [
        type_coerce(column, NullType()).label(column.key) for column in table.columns
    ]
    rows: Select[Any] = select(*cells)
    if not is_walk_of_all:
        rows = rows.where(*(key.is_not(None) for key in keys))
    if starts:
        rows = rows.where(
            tuple_(*keys) >= tuple_(*(bindparam(f"start_{name}", type_=NullType()) for name in names))
        )
    return rows.order_by(*keys).limit(bindparam("limit", type_=BigInteger))


@lru_cache(_KEPT_TABLES)
def _readers(table: Table) -> list[tuple[str, Callable[[Any], Any]]]:
    return [(column.key, _reader(column)) for column in table.columns]


def _reader(column: Column[Any]) -> Callable[[Any], Any]:
    if isinstance(column.type, ScaledDecimal):
        return _decimal_reader(column.type.places)
    found = (read for type_, read in _READERS.items() if isinstance(column.type, type_))
    return next(found, _as_it_is)


def _as_it_is(value: Any) -> Any:
    return value


def _read_id(value: Any) -> Any:
    return value.hex() if isinstance(value, bytes) and len(value) == ID_LENGTH_BYTES else value


def _read_time(value: Any) -> Any:
    """Parse SQLite's text in the format that the repositories write; complete asyncpg's -infinity."""
    if value == datetime.min:  # noqa: DTZ901 - how asyncpg reads the first moment of the year 1
        return value.replace(tzinfo=UTC)
    if not isinstance(value, str) or len(value) != len("2026-11-22 16:25:25.123000") or value[10] != " ":
        return value
    try:
        return datetime.fromisoformat(value).replace(tzinfo=UTC)
    except ValueError:
        return value


def _read_date(value: Any) -> Any:
    """Parse SQLite's text."""
    if isinstance(value, str) and len(value) == len("2026-11-22"):
        with suppress(ValueError):
            return date.fromisoformat(value)
    return value


def _decimal_reader(places: int) -> Callable[[Any], Any]:
    return lambda value: Decimal(value).scaleb(-places) if type(value) is int else value


def _read_json(value: Any) -> Any:
    if isinstance(value, str):
        with suppress(ValueError, RecursionError):
            return json.loads(value)
    return value


def _read_boolean(value: Any) -> Any:
    """Convert SQLite's 0 and 1."""
    return bool(value) if type(value) is int and value in {0, 1} else value


_READERS: dict[type[TypeEngine[Any]], Callable[[Any], Any]] = {
    ObjectIdBytes: _read_id,
    UtcDateTime: _read_time,
    Date: _read_date,
    JsonList: _read_json,
    JsonText: _read_json,
    Boolean: _read_boolean,
}
