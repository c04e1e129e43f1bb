"""What each dialect has other words for."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Sequence
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


def _write_as(function: type[FunctionElement[Any]], **words: str) -> None:
    """Say what a function is in the words of each dialect: a format of its clauses."""
    for dialect, form in words.items():

        def write(
            element: FunctionElement[Any], compiler: SQLCompiler, form: str = form, **options: Any
        ) -> str:
            return form.format(*(compiler.process(clause, **options) for clause in element.clauses))

        compiles(function, dialect)(write)


class place_of(FunctionElement[int]):  # noqa: N801 - reads like the functions of SQL
    """Where in a text a part of it begins, counted from 1; 0 if it is no part, null if there is no text.

    Not LIKE, to which SQLite shows U+FFFE and U+FFFF as U+FFFD: it would take each for the others.
    """

    type = Integer()
    inherit_cache = True


_write_as(place_of, sqlite="instr({}, {})", postgresql="strpos({}, {})")


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


_write_as(
    is_one_of,
    sqlite="{} IN (SELECT value FROM json_each('[' || {} || ']'))",
    postgresql="{} = ANY (CAST(string_to_array({}, ',') AS BIGINT[]))",
)


class IdText(TypeDecorator[str]):
    """The hex digits of an id. PostgreSQL writes them; SQLite's time is ours, and Python needs less."""

    impl = Text
    cache_ok = True

    def result_processor(self, dialect: Dialect, coltype: object) -> Callable[[Any], str | None] | None:
        """Return what makes the digits of SQLite's bytes."""
        del coltype
        return (lambda id_: id_ and id_.hex()) if dialect.name == "sqlite" else None


class TimeText(TypeDecorator[str]):
    """A time as `backends.ids.write_time` writes it; who writes it is as with `IdText`."""

    impl = Text
    cache_ok = True

    def result_processor(self, dialect: Dialect, coltype: object) -> Callable[[Any], str | None] | None:
        """Return what makes the text of SQLite's `2026-11-22 16:25:25.123000`."""
        del coltype
        return (lambda time: time and f"{time[:10]}T{time[11:23]}Z") if dialect.name == "sqlite" else None


class id_text(FunctionElement[str]):  # noqa: N801 - reads like the functions of SQL
    """The hex digits of an id; null stays null."""

    type = IdText()
    inherit_cache = True


_write_as(id_text, sqlite="{}", postgresql="encode({}, 'hex')")


class time_text(FunctionElement[str]):  # noqa: N801 - reads like the functions of SQL
    """A time as `backends.ids.write_time` writes it."""

    type = TimeText()
    inherit_cache = True


# asyncpg stores the first moment of the year 1 as -infinity, which has no text.
_write_as(
    time_text,
    sqlite="{}",
    postgresql="""coalesce(
        to_char({} AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"'), '0001-01-01T00:00:00.000Z'
    )""",
)


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


# An array and no join: of a join the planner would expect a thousand rows, and read the whole table.
_write_as(
    is_one_of_ids,
    postgresql=f"""{{}} = ANY (ARRAY(
        SELECT substr(given.ids, place, {ID_LENGTH_BYTES})
        FROM (SELECT {{}} AS ids) AS given,
            generate_series(1, length(given.ids), {ID_LENGTH_BYTES}) AS place
    ))""",  # noqa: S608 - no value is in it
)


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


# Not JSON in PostgreSQL, which would be parsed once more for each place that is asked for.
_write_as(each_of, sqlite="json_each({})", postgresql="jsonb_array_elements(CAST({} AS JSONB))")


class text_in(FunctionElement[str]):  # noqa: N801 - reads like the functions of SQL
    """What an array in JSON has at a place, counted from 0: text, or null."""

    type = Text()
    inherit_cache = True

    def __init__(self, array: ColumnElement[str], place: int) -> None:
        super().__init__(array, literal_column(str(place)))


_write_as(text_in, sqlite="json_extract({}, '$[{}]')", postgresql="({} ->> {})")
