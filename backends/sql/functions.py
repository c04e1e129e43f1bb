"""SQL functions and parameter types that differ between the dialects."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import TYPE_CHECKING, Any

from sqlalchemy import BindParameter, ColumnElement, bindparam, literal_column
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement
from sqlalchemy.types import Boolean, Integer, LargeBinary, Text, TypeDecorator

from backends.ids import is_id
from backends.sql.types import ID_LENGTH_BYTES

if TYPE_CHECKING:
    from sqlalchemy import Dialect


def _write_as(function: type[FunctionElement[Any]], **words: str) -> None:
    """Register the SQL of a function per dialect, as a format string of its clauses."""
    for dialect, form in words.items():

        def write(
            element: FunctionElement[Any], compiler: SQLCompiler, form: str = form, **options: Any
        ) -> str:
            return form.format(*(compiler.process(clause, **options) for clause in element.clauses))

        compiles(function, dialect)(write)


class place_of(FunctionElement[int]):  # noqa: N801 - reads like the functions of SQL
    """The position of a substring, counted from 1; 0 if it does not occur, null if the text is null.

    LIKE is not used, because SQLite's LIKE treats U+FFFE, U+FFFF and U+FFFD as equal.
    """

    type = Integer()
    inherit_cache = True


_write_as(place_of, sqlite="instr({}, {})", postgresql="strpos({}, {})")


class Integers(TypeDecorator[Collection[int]]):
    """A parameter with several integers, as comma-separated text.

    It is not an array, because asyncpg queries the server for the array type on each new connection.
    """

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: Collection[int] | None, _dialect: Dialect) -> str | None:
        """Join the integers."""
        return None if value is None else ",".join(map(str, value))


class is_one_of(FunctionElement[bool]):  # noqa: N801 - reads like the functions of SQL
    """Whether a column equals one of the `Integers` of a parameter. The SQL is the same for any number."""

    type = Boolean()
    inherit_cache = True

    def __init__(self, column: ColumnElement[int], parameter: str) -> None:
        integers: BindParameter[Any] = bindparam(parameter, type_=Integers())
        super().__init__(column, integers)


_write_as(
    is_one_of,
    sqlite="{} IN (SELECT value FROM json_each('[' || {} || ']'))",
    postgresql="{} = ANY (CAST(string_to_array({}, ',') AS BIGINT[]))",
)


class IdText(TypeDecorator[str]):
    """The hex digits of an id. PostgreSQL formats them; for SQLite, Python does, which costs less CPU."""

    impl = Text
    cache_ok = True

    def result_processor(self, dialect: Dialect, coltype: object) -> Callable[[Any], str | None] | None:
        """Return the conversion of SQLite's bytes."""
        del coltype
        return (lambda id_: id_ and id_.hex()) if dialect.name == "sqlite" else None


class TimeText(TypeDecorator[str]):
    """A time in the format of `backends.ids.write_time`. As with `IdText`, PostgreSQL formats it itself."""

    impl = Text
    cache_ok = True

    def result_processor(self, dialect: Dialect, coltype: object) -> Callable[[Any], str | None] | None:
        """Return the conversion of SQLite's `2026-11-22 16:25:25.123000`."""
        del coltype
        return (lambda time: time and f"{time[:10]}T{time[11:23]}Z") if dialect.name == "sqlite" else None


class id_text(FunctionElement[str]):  # noqa: N801 - reads like the functions of SQL
    """The hex digits of an id; null stays null."""

    type = IdText()
    inherit_cache = True


_write_as(id_text, sqlite="{}", postgresql="encode({}, 'hex')")


class time_text(FunctionElement[str]):  # noqa: N801 - reads like the functions of SQL
    """A time in the format of `backends.ids.write_time`."""

    type = TimeText()
    inherit_cache = True


# asyncpg stores the first moment of the year 1 as -infinity, which to_char can't format.
_write_as(
    time_text,
    sqlite="{}",
    postgresql="""coalesce(
        to_char({} AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"'), '0001-01-01T00:00:00.000Z'
    )""",
)


class nullable_time_text(FunctionElement[str]):  # noqa: N801 - reads like the functions of SQL
    """As `time_text`; null stays null."""

    type = TimeText()
    inherit_cache = True


_write_as(
    nullable_time_text,
    sqlite="{0}",
    postgresql="""CASE WHEN {0} IS NOT NULL THEN coalesce(
        to_char({0} AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"'), '0001-01-01T00:00:00.000Z'
    ) END""",
)


class has_element(FunctionElement[bool]):  # noqa: N801 - reads like the functions of SQL
    """Whether a JSON list has the element of a JSON list of one."""

    type = Boolean()
    inherit_cache = True


_write_as(
    has_element,
    sqlite="""EXISTS (
        SELECT 1 FROM json_each({0}) AS element WHERE element.value = json_extract({1}, '$[0]')
    )""",
    postgresql="{0} @> CAST({1} AS JSONB)",
)


class length_of_list(FunctionElement[int]):  # noqa: N801 - reads like the functions of SQL
    """The number of elements of a JSON list; null if the list is null."""

    type = Integer()
    inherit_cache = True


_write_as(length_of_list, sqlite="json_array_length({})", postgresql="jsonb_array_length({})")


class any_element(FunctionElement[bool]):  # noqa: N801 - reads like the functions of SQL
    """Whether a condition on `element.value` is true of an element of a JSON list."""

    type = Boolean()
    inherit_cache = True


_write_as(
    any_element,
    sqlite="EXISTS (SELECT 1 FROM json_each({}) AS element WHERE {})",
    postgresql="EXISTS (SELECT 1 FROM jsonb_array_elements({}) AS element (value) WHERE {})",
)


class Ids(TypeDecorator[Collection[str]]):
    """A parameter with several ids, as their concatenated bytes; not an array, see `Integers`."""

    impl = LargeBinary
    cache_ok = True

    def process_bind_param(self, value: Collection[str] | None, _dialect: Dialect) -> bytes | None:
        """Join the bytes of the well-formed ids; no row has a malformed id."""
        return None if value is None else bytes.fromhex("".join(filter(is_id, value)))


class is_one_of_ids(FunctionElement[bool]):  # noqa: N801 - reads like the functions of SQL
    """Whether a column equals one of the `Ids` of a parameter. PostgreSQL only."""

    type = Boolean()
    inherit_cache = True

    def __init__(self, column: ColumnElement[str], parameter: str) -> None:
        ids: BindParameter[Any] = bindparam(parameter, type_=Ids())
        super().__init__(column, ids)


# An array instead of a join: for a join, the planner expects a thousand rows and scans the whole table.
_write_as(
    is_one_of_ids,
    postgresql=f"""{{}} = ANY (ARRAY(
        SELECT substr(given.ids, place, {ID_LENGTH_BYTES})
        FROM (SELECT {{}} AS ids) AS given,
            generate_series(1, length(given.ids), {ID_LENGTH_BYTES}) AS place
    ))""",  # noqa: S608 - no value is in it
)


class each_of(FunctionElement[str]):  # noqa: N801 - reads like the functions of SQL
    """A table of the elements of a JSON array. Its column `value` is JSON."""

    inherit_cache = True


# JSONB in PostgreSQL, because JSON would be parsed again for each access to an element.
_write_as(each_of, sqlite="json_each({})", postgresql="jsonb_array_elements(CAST({} AS JSONB))")


class text_in(FunctionElement[str]):  # noqa: N801 - reads like the functions of SQL
    """The element of a JSON array at an index, counted from 0, as text or null."""

    type = Text()
    inherit_cache = True

    def __init__(self, array: ColumnElement[str], place: int) -> None:
        super().__init__(array, literal_column(str(place)))


_write_as(text_in, sqlite="json_extract({}, '$[{}]')", postgresql="({} ->> {})")
