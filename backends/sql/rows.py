"""Raw rows of SQL tables, for the validation of stored rows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from functools import cache
from typing import TYPE_CHECKING, Any

from sqlalchemy import BigInteger, Boolean, Select, Table, bindparam, select, tuple_, type_coerce
from sqlalchemy.sql.visitors import iterate
from sqlalchemy.types import NullType

from backends.rows.stored import KINDS, Fields, Place, RowKind, StoredRow
from backends.sql.schema import METADATA
from backends.sql.types import ID_LENGTH_BYTES, ObjectIdBytes, UtcDateTime

if TYPE_CHECKING:
    from sqlalchemy import Column, ColumnElement

    from backends.sql.connections import Connections
    from backends.sql.statements import Row, Statement


async def read_rows(
    connections: Connections, kind: RowKind, *, by: Sequence[str], start: Place | None, limit: int
) -> list[StoredRow]:
    """See `backends.protocols.Backend`."""
    table = METADATA.tables[kind]
    names = tuple(by) or tuple(column.key for column in table.primary_key)
    statement = _select(kind, names, is_walk_of_all=not by, starts=start is not None)
    values = {f"start_{name}": value for name, value in zip(names, start or (), strict=False)}
    found = await connections.run(statement, {**values, "limit": limit})
    return [StoredRow(read_cells(kind, row), tuple(row[name] for name in names)) for row in found]


def read_cells(kind: RowKind, row: Row) -> Fields:
    """Convert the driver's values to `backends.rows.Fields`."""
    return {name: read(row[name]) for name, read in _readers(kind) if name in row}


def kind_of(statement: Statement) -> RowKind:
    """Return the kind of the rows that a statement returns."""
    tables = {each.name for each in iterate(statement) if isinstance(each, Table)}
    return next(kind for kind in KINDS if kind in tables)


@cache
def _select(kind: RowKind, names: tuple[str, ...], *, is_walk_of_all: bool, starts: bool) -> Select[Any]:
    """Select the driver's values without SQLAlchemy's type conversion."""
    table = METADATA.tables[kind]
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


@cache
def _readers(kind: RowKind) -> list[tuple[str, Callable[[Any], Any]]]:
    return [(column.key, _reader(column)) for column in METADATA.tables[kind].columns]


def _reader(column: Column[Any]) -> Callable[[Any], Any]:
    if isinstance(column.type, ObjectIdBytes):
        return _read_id
    if isinstance(column.type, UtcDateTime):
        return _read_time
    return _read_boolean if isinstance(column.type, Boolean) else _as_it_is


def _as_it_is(value: Any) -> Any:
    return value


def _read_id(value: Any) -> Any:
    return value.hex() if isinstance(value, bytes) and len(value) == ID_LENGTH_BYTES else value


def _read_time(value: Any) -> Any:
    """Parse SQLite's text in the format that the repositories write."""
    if not isinstance(value, str) or len(value) != len("2026-11-22 16:25:25.123000") or value[10] != " ":
        return value
    try:
        return datetime.fromisoformat(value).replace(tzinfo=UTC)
    except ValueError:
        return value


def _read_boolean(value: Any) -> Any:
    """Convert SQLite's 0 and 1."""
    return bool(value) if type(value) is int and value in {0, 1} else value
