"""Compiled statements: SQLAlchemy compiles each statement once per dialect, and the driver runs the SQL.

SQLAlchemy's own execution costs several times as much as the driver (`docs/adr/0012-the-hot-path.md`). So
statements are built once, with named parameters, and cached. Each call only converts the parameters and the
rows, by the types of the columns.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

from sqlalchemy import CompoundSelect, Select
from sqlalchemy.sql.dml import UpdateBase

if TYPE_CHECKING:
    from sqlalchemy import Dialect
    from sqlalchemy.sql.compiler import SQLCompiler
    from sqlalchemy.types import TypeEngine

Statement: TypeAlias = Select[Any] | CompoundSelect[Any] | UpdateBase

Values: TypeAlias = Mapping[str, Any]
"""The parameters of a statement by name. Additional names are ignored."""

Row: TypeAlias = dict[str, Any]
"""A value for each column that a statement returns, by name."""

Convert: TypeAlias = Callable[[Any], Any]

_UNREADABLE = (TypeError, ValueError, AttributeError, ArithmeticError)
"""The errors of conversions."""


class Compiled:
    """A statement, compiled for a dialect.

    Attributes:
        sql: The SQL for the driver.
    """

    def __init__(self, statement: Statement, dialect: Dialect, *, schema: str | None = None) -> None:
        """Compile the statement; `schema` qualifies the names of tables."""
        self._statement = statement
        qualified: dict[str, Any] = (
            {"schema_translate_map": {None: schema}, "render_schema_translate": True} if schema else {}
        )
        compiled: SQLCompiler = statement.compile(dialect=dialect, **qualified)
        self.sql = compiled.string
        parameters = [compiled.binds[name] for name in compiled.positiontup or ()]
        self._constants = {each.key: each.effective_value for each in parameters if not each.required}
        self._parameters = [(each.key, _to_driver(each.type, dialect)) for each in parameters]
        columns = list(
            statement.exported_columns if isinstance(statement, UpdateBase) else statement.selected_columns
        )
        self._columns = [(str(column.key), _from_driver(column.type, dialect)) for column in columns]
        self._read = _reader(self._columns)

    def arguments(self, values: Values) -> list[Any]:
        """Return the parameters in the order of the driver.

        Raises:
            KeyError: A parameter has no value. Null as a default would hide the mistake.
        """
        arguments = []
        for name, convert in self._parameters:
            value = self._constants[name] if name in self._constants else values[name]
            arguments.append(value if convert is None else convert(value))
        return arguments

    def rows(self, found: Iterable[Iterable[Any]]) -> list[Row]:
        """Convert the driver's rows."""
        try:
            return self._read(found)
        except _UNREADABLE as exc:
            raise self._unreadable(found) from exc

    def _unreadable(self, found: Iterable[Iterable[Any]]) -> Exception:
        """Return the error about the first value that can't be converted."""
        from backends.sql.rows import unreadable_row  # noqa: PLC0415 - needed for errors only

        for cells in found:
            row = dict(zip([name for name, _ in self._columns], cells, strict=True))
            for name, convert in self._columns:
                try:
                    if convert is not None:
                        convert(row[name])
                except _UNREADABLE:
                    return unreadable_row(self._statement, row, name)
        raise AssertionError("each value can be converted on its own")


def _reader(
    columns: Sequence[tuple[str, Convert | None]],
) -> Callable[[Iterable[Iterable[Any]]], list[Row]]:
    """Return the function from a driver's rows to rows.

    It is compiled from source, as `collections.namedtuple` does: one comprehension with the names in it. A
    loop over the columns takes twice as long, which is a tenth of the CPU time of a list.
    """
    if not columns:
        return lambda _: []
    cells = "".join(f"cell_{place}, " for place in range(len(columns)))
    values = ", ".join(
        f"{name!r}: {f'cell_{place}' if convert is None else f'convert_{place}(cell_{place})'}"
        for place, (name, convert) in enumerate(columns)
    )
    converts = {f"convert_{place}": convert for place, (_, convert) in enumerate(columns)}
    read: Callable[[Iterable[Iterable[Any]]], list[Row]] = eval(  # noqa: S307 - of our names alone
        f"lambda found: [{{{values}}} for {cells}in found]", converts
    )
    return read


def _to_driver(type_: TypeEngine[Any], dialect: Dialect) -> Convert | None:
    return type_.dialect_impl(dialect).bind_processor(dialect)


def _from_driver(type_: TypeEngine[Any], dialect: Dialect) -> Convert | None:
    return type_.dialect_impl(dialect).result_processor(dialect, None)
