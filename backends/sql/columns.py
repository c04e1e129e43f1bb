"""The column types of the kinds of fields."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import date
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from pydantic_core import from_json
from sqlalchemy import BigInteger, Boolean, Date, Double, Text, type_coerce
from sqlalchemy.types import TypeDecorator

from backends.models.resources.kinds import MAX_CHOICE_LENGTH
from backends.models.resources.values import scaled_text, write_json
from backends.sql.functions import id_text, nullable_time_text, time_text
from backends.sql.types import ObjectIdBytes, UtcDateTime, text_type

if TYPE_CHECKING:
    from sqlalchemy import ColumnElement, Dialect
    from sqlalchemy.types import TypeEngine

    from backends.models.resources import FieldSpec


class ScaledDecimal(TypeDecorator[Decimal]):
    """An exact decimal as a 64-bit integer: the value times 10 to the number of decimal places."""

    impl = BigInteger
    cache_ok = True

    def __init__(self, places: int) -> None:
        """Store values with this number of decimal places."""
        super().__init__()
        self.places = places

    def process_bind_param(self, value: Decimal | None, dialect: Dialect) -> int | None:
        """Scale the value up."""
        del dialect
        return None if value is None else int(value.scaleb(self.places))

    def process_result_value(self, value: int | None, dialect: Dialect) -> Decimal | None:
        """Scale the value down."""
        del dialect
        return None if value is None else Decimal(value).scaleb(-self.places)


class Float(TypeDecorator[float]):
    """A double. SQLAlchemy would look at the type of the driver's cursor."""

    impl = Double
    cache_ok = True

    def result_processor(self, dialect: Dialect, coltype: object) -> Callable[[Any], Any] | None:
        """Convert integers: SQLite stores 1.0 as 1, and `RETURNING` of an update returns that."""
        del coltype
        return None if dialect.name == "postgresql" else _read_float


class JsonList(TypeDecorator[list[Any]]):
    """A list: `JSONB` in PostgreSQL, whose indexes find its elements; text in SQLite."""

    impl = Text
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        """Choose the type."""
        if dialect.name != "postgresql":
            return dialect.type_descriptor(Text())
        from sqlalchemy.dialects.postgresql import JSONB  # noqa: PLC0415 - SQLite does not need the dialect

        return dialect.type_descriptor(JSONB(none_as_null=True))

    def bind_processor(self, dialect: Dialect) -> Callable[[Any], Any]:
        """Write the list as JSON; asyncpg takes the text of a JSONB."""
        del dialect
        return lambda value: None if value is None else json.dumps(value, ensure_ascii=False)

    def result_processor(self, dialect: Dialect, coltype: object) -> Callable[[Any], Any]:
        """Read the list."""
        del dialect, coltype
        return lambda value: None if value is None else from_json(value)


class JsonText(TypeDecorator[Any]):
    """An opaque value as the text of its JSON, so that numbers and the order of keys stay as they are."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: Any, dialect: Dialect) -> str | None:
        """Write the value."""
        del dialect
        return None if value is None else write_json(value)

    def process_result_value(self, value: str | None, dialect: Dialect) -> Any:
        """Read the value."""
        del dialect
        return _read_json(value)


def _read_float(value: float | None) -> float | None:
    return None if value is None else float(value)


def _read_json(text: str | None) -> Any:
    return None if text is None else json.loads(text)


class _InRow(TypeDecorator[Any]):
    """The base class of types that return the JSON value of a row instead of Python's."""

    impl = Text
    cache_ok = True


class _DecimalInRow(_InRow):
    def __init__(self, places: int) -> None:
        super().__init__()
        self.places = places

    def result_processor(self, dialect: Dialect, coltype: object) -> Callable[[Any], Any]:
        del dialect, coltype
        write = scaled_text(self.places)
        return lambda value: None if value is None else write(value)


class _DateInRow(_InRow):
    def result_processor(self, dialect: Dialect, coltype: object) -> Callable[[Any], Any] | None:
        del coltype
        return None if dialect.name == "sqlite" else _write_date


def _write_date(value: date | None) -> str | None:
    return None if value is None else value.isoformat()


def type_of(field: FieldSpec) -> TypeEngine[Any]:
    """Return the type of a field's column."""
    if field.kind == "decimal":
        return ScaledDecimal(field.decimal_places or 0)
    if field.kind == "choice":
        return text_type(MAX_CHOICE_LENGTH)  # for choices to come
    if field.kind in {"text", "email"}:
        return text_type(field.max_length or 0)
    return _TYPES[field.kind]()


_TYPES: dict[str, type[TypeEngine[Any]]] = {
    "boolean": Boolean,
    "integer": BigInteger,
    "float": Float,
    "time": UtcDateTime,
    "date": Date,
    "reference": ObjectIdBytes,
    "list": JsonList,
    "json": JsonText,
}


def in_row(column: ColumnElement[Any]) -> ColumnElement[Any]:
    """Return a column in the format of `backends.models.Row`."""
    kind = column.type
    if isinstance(kind, ObjectIdBytes):
        return id_text(column).label(column.key)
    if isinstance(kind, UtcDateTime):
        write = time_text if column.key == "created_at" else nullable_time_text
        return write(column).label(column.key)
    if isinstance(kind, ScaledDecimal):
        return type_coerce(column, _DecimalInRow(kind.places)).label(column.key)
    if isinstance(kind, Date):
        return type_coerce(column, _DateInRow()).label(column.key)
    return column
