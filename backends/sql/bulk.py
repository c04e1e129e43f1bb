"""The insert of many rows by one statement, whose parameters are JSON and the bytes of all ids."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Any

from sqlalchemy import BigInteger, Integer, LargeBinary, String, Text, bindparam, cast, func, insert, select
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.functions import FunctionElement
from sqlalchemy.types import TypeDecorator

from backends.ids import is_id
from backends.sql.columns import JsonText
from backends.sql.functions import each_of, text_in
from backends.sql.types import ID_LENGTH_BYTES, ObjectIdBytes

if TYPE_CHECKING:
    from sqlalchemy import ColumnElement, Dialect, Table
    from sqlalchemy.sql.compiler import SQLCompiler
    from sqlalchemy.types import TypeEngine

    from backends.sql.statements import Statement


class _Rows(TypeDecorator[Sequence[Sequence[Any]]]):
    """A parameter with any number of rows, as JSON. The SQL is the same for any number."""

    impl = Text
    cache_ok = True

    def __init__(self, types: Sequence[TypeEngine[Any]]) -> None:
        """Write the cells of each row as these types' values."""
        super().__init__()
        self._types = tuple(types)

    def bind_processor(self, dialect: Dialect) -> Callable[[Any], str]:
        """Return the conversion to an array of arrays."""
        converts = [type_.dialect_impl(dialect).bind_processor(dialect) for type_ in self._types]

        def write(rows: Sequence[Sequence[Any]]) -> str:
            cells = [
                [convert(cell) if convert else cell for convert, cell in zip(converts, row, strict=True)]
                for row in rows
            ]
            return json.dumps(cells, ensure_ascii=False, default=_moment)

        return write


def _moment(value: date) -> str:
    """Return a time or date as PostgreSQL reads it. asyncpg stores the first and the last as infinite."""
    if value in {date.min, datetime.min.replace(tzinfo=UTC)}:
        return "-infinity"
    return "infinity" if value == date.max else value.isoformat()


class _typed(FunctionElement[Any]):  # noqa: N801 - reads like the functions of SQL
    """A text of a JSON array as a value of a type. SQLite's functions return the value itself."""

    inherit_cache = True

    def __init__(self, text: ColumnElement[str], type_: TypeEngine[Any]) -> None:
        super().__init__(text)
        self.type = type_


@compiles(_typed, "sqlite")
def _typed_in_sqlite(element: _typed, compiler: SQLCompiler, **options: Any) -> str:
    return compiler.process(element.clauses, **options)


@compiles(_typed, "postgresql")
def _typed_in_postgres(element: _typed, compiler: SQLCompiler, **options: Any) -> str:
    text = compiler.process(element.clauses, **options)
    if isinstance(element.type, String | JsonText):
        return text  # A cast to VARCHAR(255) would shorten it.
    type_ = compiler.dialect.type_compiler_instance.process(element.type)
    return f"CAST({text} AS {type_})"


class BulkInsert:
    """The insert of many rows of a table.

    Attributes:
        statement: The statement.
    """

    def __init__(self, table: Table) -> None:
        """Build the statement for all columns of the table."""
        self._columns = list(table.columns)
        ids = bindparam("ids", type_=LargeBinary())
        types = [BigInteger() if _is_id(column) else column.type for column in self._columns]
        row = each_of(bindparam("rows", type_=_Rows(types))).table_valued("value").c.value
        values: list[ColumnElement[Any]] = []
        for place, column in enumerate(self._columns):
            cell = text_in(row, place)
            if _is_id(column):
                # Apart from the rows, because JSON has no bytes and SQLite can't decode hex digits. An
                # offset of null gives null.
                values.append(func.substr(ids, cast(cell, Integer), ID_LENGTH_BYTES))
            else:
                values.append(_typed(cell, column.type))
        self.statement: Statement = insert(table).from_select(self._columns, select(*values))

    def parameters(self, rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        """Return the parameters for rows with a value for each column, by its key."""
        ids: list[str] = []
        cells = []
        for row in rows:
            line = []
            for column in self._columns:
                value = row[column.key]
                if _is_id(column) and value is not None:
                    line.append(_offset(ids, value))
                else:
                    line.append(value)
            cells.append(line)
        return {"rows": cells, "ids": bytes.fromhex("".join(ids))}


def _is_id(column: ColumnElement[Any]) -> bool:
    return isinstance(column.type, ObjectIdBytes)


def _offset(ids: list[str], id_: str) -> int:
    """Add an id; return its offset in the bytes, counted from 1. A malformed id is beyond their end."""
    if not is_id(id_):
        return 2**30
    ids.append(id_)
    return 1 + (len(ids) - 1) * ID_LENGTH_BYTES
