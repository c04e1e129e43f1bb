"""The types of mapped attributes whose columns store another form: decimals, lists, nested models."""

from __future__ import annotations

import json
from collections.abc import Callable
from decimal import Decimal
from typing import TYPE_CHECKING, Any, cast

from pydantic_core import from_json
from sqlalchemy import BigInteger, ColumnElement, Integer, Text, literal, type_coerce
from sqlalchemy.sql import operators
from sqlalchemy.sql.functions import GenericFunction
from sqlalchemy.types import NullType, TypeDecorator, TypeEngine

from backends.models.resources.values import to_json, write_json
from backends.sql.columns import JsonList, ScaledDecimal
from backends.sql.functions import has_element

if TYPE_CHECKING:
    from sqlalchemy import Dialect
    from sqlalchemy.sql.operators import OperatorType


_SCALING = (operators.mul, operators.truediv)
_ADDING = (operators.add, operators.sub, operators.neg)
_NOT_IN_SQL = "{} can't be {} in SQL: do it in Python"


class MappedDecimal(TypeDecorator[Decimal]):
    """An exact decimal over the integer of `ScaledDecimal`.

    Comparisons, `+`, `-`, `sum`, `avg`, `min` and `max` take and return decimals. So do `*` and `/` with an
    integer on the right. Other SQL functions see the stored integer.
    """

    impl = BigInteger
    cache_ok = True

    def __init__(self, places: int) -> None:
        """Read values with this number of decimal places."""
        super().__init__()
        self.places = places

    def process_bind_param(self, value: Decimal | int | None, dialect: Dialect) -> int | None:
        """Scale the value up.

        Raises:
            ValueError: The value has more decimal places. Rounding would change a comparison.
        """
        del dialect
        if value is None:
            return None
        scaled = Decimal(value).scaleb(self.places)
        if scaled != scaled.to_integral_value():
            raise ValueError(f"{value} has more than {self.places} decimal places: round it, as a Decimal")
        return int(scaled)

    def process_result_value(self, value: float | Decimal | None, dialect: Dialect) -> Decimal | None:
        """Scale the value down. An average is a float in SQLite."""
        del dialect
        if value is None:
            return None
        return Decimal(repr(value) if isinstance(value, float) else value).scaleb(-self.places)

    def coerce_compared_value(self, op: OperatorType | None, value: Any) -> Any:
        """Leave a factor as it is; scale any other number up.

        Raises:
            TypeError: The factor is no integer.
        """
        if op not in _SCALING:
            return self
        if not isinstance(value, int):
            raise TypeError(_NOT_IN_SQL.format("a decimal", f"multiplied or divided by {value!r}"))
        return MappedInteger()

    class Comparator(TypeDecorator.Comparator[Decimal], BigInteger.Comparator[Decimal]):
        """The operators."""

        def operate(self, op: OperatorType, *other: Any, **kwargs: Any) -> ColumnElement[Any]:
            """Return a decimal where the result is one.

            Raises:
                TypeError: Two decimals are multiplied, divided, or have different decimal places.
            """
            kind: Any = self.expr.type
            if op in _SCALING and isinstance(_type_of(other[0]), MappedDecimal):
                raise TypeError(_NOT_IN_SQL.format("a decimal", "multiplied or divided by another"))
            if op not in _SCALING:
                other = tuple(_aligned(each, kind) for each in other)
            result = super().operate(op, *other, **kwargs)
            return type_coerce(result, kind) if op in (*_SCALING, *_ADDING) else result

        def reverse_operate(self, op: OperatorType, other: Any, **kwargs: Any) -> ColumnElement[Any]:
            """Return a decimal with a number on the left.

            Raises:
                TypeError: The number is divided by the decimal.
            """
            if op is operators.truediv:
                raise TypeError(_NOT_IN_SQL.format("a number", "divided by a decimal"))
            if op is operators.sub:
                return cast("ColumnElement[Any]", -self.expr + other)
            return self.operate(op, other, **kwargs)

    comparator_factory = Comparator


class MappedInteger(TypeDecorator[int]):
    """An integer, which may be compared with a decimal, or multiplied by one."""

    impl = BigInteger
    cache_ok = True

    class Comparator(TypeDecorator.Comparator[int], BigInteger.Comparator[int]):
        """The operators."""

        def operate(self, op: OperatorType, *other: Any, **kwargs: Any) -> ColumnElement[Any]:
            """Return a decimal where the other one is a decimal and the result is no condition.

            Raises:
                TypeError: The integer is divided by a decimal.
            """
            kind = _type_of(other[0]) if other else None
            if not isinstance(kind, MappedDecimal):
                return super().operate(op, *other, **kwargs)
            if op is operators.truediv:
                raise TypeError(_NOT_IN_SQL.format("an integer", "divided by a decimal"))
            left, right = self.expr, other[0]
            found = op(right, left) if op is operators.mul else op(_aligned(left, kind), right)
            return cast("ColumnElement[Any]", found)

    comparator_factory = Comparator


def _type_of(value: Any) -> Any:
    """Return the type of an expression or a mapped attribute; None for a value of Python."""
    return getattr(value, "type", None)


def _aligned(value: Any, kind: MappedDecimal) -> Any:
    """Return the operand of a decimal as a decimal with the same number of decimal places.

    Raises:
        TypeError: It has another number of decimal places.
    """
    given = _type_of(value)
    if isinstance(given, MappedDecimal) and given.places != kind.places:
        raise TypeError(
            f"one has {kind.places} decimal places and the other {given.places}: do it in Python"
        )
    if isinstance(given, (Integer, MappedInteger)):
        return type_coerce(type_coerce(value, BigInteger()) * 10**kind.places, kind)
    return value


class _Average(GenericFunction[Any]):
    """`func.avg`: of a decimal, a decimal."""

    name = "avg"
    inherit_cache = True

    def __init__(self, argument: Any, **kwargs: Any) -> None:
        kind = getattr(argument, "type", None)
        self.type = kind if isinstance(kind, MappedDecimal) else NullType()
        super().__init__(argument, **kwargs)


class MappedList(JsonList):
    """A list. `contains` finds rows by an element."""

    cache_ok = True

    def result_processor(self, dialect: Dialect, coltype: object) -> Callable[[Any], Any]:
        """Read the list. SQLAlchemy's drivers of PostgreSQL have parsed it already."""
        del dialect, coltype
        return lambda value: from_json(value) if isinstance(value, str) else value

    class Comparator(TypeDecorator.Comparator[Any], Text.Comparator[Any]):
        """The operators."""

        def contains(self, other: Any, **kwargs: Any) -> ColumnElement[bool]:
            """Return whether the list has this element, as the filters of the API do."""
            del kwargs
            return has_element(self.expr, literal([other], JsonList()))

    comparator_factory = Comparator


class MappedObject(TypeDecorator[Any]):
    """A nested model, or a member of an enumeration, over its JSON or its text."""

    impl = Text
    cache_ok = True

    def __init__(self, read: Callable[[Any], Any], *, is_json: bool) -> None:
        """Convert values in JSON types with this function."""
        super().__init__()
        self.read = read
        self.is_json = is_json

    def process_bind_param(self, value: Any, dialect: Dialect) -> str | None:
        """Write the value."""
        del dialect
        return None if value is None else write_json(value) if self.is_json else str(to_json(value))

    def process_result_value(self, value: str | None, dialect: Dialect) -> Any:
        """Read the value."""
        del dialect
        return None if value is None else self.read(json.loads(value) if self.is_json else value)


def mapped_type(stored: TypeEngine[Any], read: Callable[[Any], Any] | None, *, is_json: bool) -> Any:
    """Return the type of the attribute over a column; None for the column's own.

    Args:
        stored: The type of the column.
        read: The conversion to the user's class, if there is one.
        is_json: Whether the column is the text of JSON.
    """
    if isinstance(stored, ScaledDecimal):
        return MappedDecimal(stored.places)
    if isinstance(stored, JsonList):
        return MappedList()
    if isinstance(stored, BigInteger):
        return MappedInteger()
    return None if read is None else MappedObject(read, is_json=is_json)
