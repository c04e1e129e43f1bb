"""What each dialect has other words for."""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING, Any

from sqlalchemy import BindParameter, ColumnElement, bindparam, literal_column
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement
from sqlalchemy.types import Boolean, Integer, LargeBinary, Text, TypeDecorator

from backends.ids import is_id
from backends.sql.schema import ID_LENGTH_BYTES

if TYPE_CHECKING:
    from sqlalchemy import Dialect


class place_of(FunctionElement[int]):  # noqa: N801 - reads like the functions of SQL
    """Where in a text a part of it begins, counted from 1; 0 if it is no part, null if there is no text.

    Not LIKE, to which SQLite shows U+FFFE and U+FFFF as U+FFFD: it would take each for the others.
    """

    type = Integer()
    inherit_cache = True


@compiles(place_of, "sqlite")
def _instr(element: place_of, compiler: SQLCompiler, **options: Any) -> str:
    return f"instr({compiler.process(element.clauses, **options)})"


@compiles(place_of, "postgresql")
def _strpos(element: place_of, compiler: SQLCompiler, **options: Any) -> str:
    return f"strpos({compiler.process(element.clauses, **options)})"


class Integers(TypeDecorator[Collection[int]]):
    """A parameter of several integers, as text with commas.

    No array: asyncpg asks the server about its type on each new connection.
    """

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: Collection[int] | None, _dialect: Dialect) -> str | None:
        """Join them."""
        return None if value is None else ",".join(map(str, value))


class is_one_of(FunctionElement[bool]):  # noqa: N801 - reads like the functions of SQL
    """Whether a column is one of the `Integers` of a parameter: one text of SQL for any number of them."""

    type = Boolean()
    inherit_cache = True

    def __init__(self, column: ColumnElement[int], parameter: str) -> None:
        integers: BindParameter[Any] = bindparam(parameter, type_=Integers())
        super().__init__(column, integers)


@compiles(is_one_of, "sqlite")
def _in_json(element: is_one_of, compiler: SQLCompiler, **options: Any) -> str:
    column, integers = (compiler.process(clause, **options) for clause in element.clauses)
    return f"{column} IN (SELECT value FROM json_each('[' || {integers} || ']'))"  # noqa: S608 - compiled


@compiles(is_one_of, "postgresql")
def _any(element: is_one_of, compiler: SQLCompiler, **options: Any) -> str:
    column, integers = (compiler.process(clause, **options) for clause in element.clauses)
    return f"{column} = ANY (CAST(string_to_array({integers}, ',') AS BIGINT[]))"


class id_text(FunctionElement[str]):  # noqa: N801 - reads like the functions of SQL
    """The hex digits of an id; null stays null."""

    type = Text()
    inherit_cache = True


@compiles(id_text, "sqlite")
def _hex(element: id_text, compiler: SQLCompiler, **options: Any) -> str:
    # Of null it makes the empty text.
    return f"nullif(lower(hex({compiler.process(element.clauses, **options)})), '')"


@compiles(id_text, "postgresql")
def _encode(element: id_text, compiler: SQLCompiler, **options: Any) -> str:
    return f"encode({compiler.process(element.clauses, **options)}, 'hex')"


class time_text(FunctionElement[str]):  # noqa: N801 - reads like the functions of SQL
    """A time as `backends.ids.write_time` writes it."""

    type = Text()
    inherit_cache = True


@compiles(time_text, "sqlite")
def _substr(element: time_text, compiler: SQLCompiler, **options: Any) -> str:
    # Of `2026-11-22 16:25:25.123000`.
    time = compiler.process(element.clauses, **options)
    return f"substr({time}, 1, 10) || 'T' || substr({time}, 12, 12) || 'Z'"


@compiles(time_text, "postgresql")
def _to_char(element: time_text, compiler: SQLCompiler, **options: Any) -> str:
    time = compiler.process(element.clauses, **options)
    text = f"""to_char({time} AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"')"""
    # asyncpg stores the first moment of the year 1 as -infinity, which has no text.
    return f"coalesce({text}, '0001-01-01T00:00:00.000Z')"


class Ids(TypeDecorator[Collection[str]]):
    """A parameter of several ids, as their bytes one after the other; no array, as above."""

    impl = LargeBinary
    cache_ok = True

    def process_bind_param(self, value: Collection[str] | None, _dialect: Dialect) -> bytes | None:
        """Join them, but for those that are none, which no row has."""
        return None if value is None else bytes.fromhex("".join(filter(is_id, value)))


class is_one_of_ids(FunctionElement[bool]):  # noqa: N801 - reads like the functions of SQL
    """Whether a column is one of the `Ids` of a parameter. PostgreSQL only: SQLite is asked for each."""

    type = Boolean()
    inherit_cache = True

    def __init__(self, column: ColumnElement[str], parameter: str) -> None:
        ids: BindParameter[Any] = bindparam(parameter, type_=Ids())
        super().__init__(column, ids)


@compiles(is_one_of_ids, "postgresql")
def _any_id(element: is_one_of_ids, compiler: SQLCompiler, **options: Any) -> str:
    column, ids = (compiler.process(clause, **options) for clause in element.clauses)
    # An array and no join: of a join the planner would expect a thousand rows, and read the whole table.
    places = f"generate_series(1, length(given.ids), {ID_LENGTH_BYTES}) AS place"
    given = f"(SELECT {ids} AS ids) AS given"
    each = f"SELECT substr(given.ids, place, {ID_LENGTH_BYTES}) FROM {given}, {places}"  # noqa: S608 - compiled
    return f"{column} = ANY (ARRAY({each}))"


class JsonRows(TypeDecorator[Sequence[Sequence[int | str | None]]]):
    """A parameter of any number of rows, as JSON: one text of SQL, however many there are."""

    impl = Text
    cache_ok = True

    def process_bind_param(
        self, value: Sequence[Sequence[int | str | None]] | None, _dialect: Dialect
    ) -> str | None:
        """Write an array of arrays."""
        return None if value is None else json.dumps(value, ensure_ascii=False)


class each_of(FunctionElement[str]):  # noqa: N801 - reads like the functions of SQL
    """A table of what an array in JSON has: its column `value` is JSON again."""

    inherit_cache = True


@compiles(each_of, "sqlite")
def _json_each(element: each_of, compiler: SQLCompiler, **options: Any) -> str:
    return f"json_each({compiler.process(element.clauses, **options)})"


@compiles(each_of, "postgresql")
def _jsonb_array_elements(element: each_of, compiler: SQLCompiler, **options: Any) -> str:
    # Not JSON, which would be parsed once more for each place that is asked for.
    return f"jsonb_array_elements(CAST({compiler.process(element.clauses, **options)} AS JSONB))"


class text_in(FunctionElement[str]):  # noqa: N801 - reads like the functions of SQL
    """What an array in JSON has at a place, counted from 0: text, or null."""

    type = Text()
    inherit_cache = True

    def __init__(self, array: ColumnElement[str], place: int) -> None:
        super().__init__(array, literal_column(str(place)))


@compiles(text_in, "sqlite")
def _json_extract(element: text_in, compiler: SQLCompiler, **options: Any) -> str:
    array, place = (compiler.process(clause, **options) for clause in element.clauses)
    return f"json_extract({array}, '$[{place}]')"


@compiles(text_in, "postgresql")
def _arrow(element: text_in, compiler: SQLCompiler, **options: Any) -> str:
    array, place = (compiler.process(clause, **options) for clause in element.clauses)
    return f"({array} ->> {place})"
