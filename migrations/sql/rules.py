"""Finds the rows that break a rule of a revision."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Text,
    and_,
    false,
    func,
    literal,
    literal_column,
    or_,
    select,
    true,
)

from backends.models.resources.values import FROM_JSON
from backends.sql.functions import any_element, length_of_list
from migrations.resources.existing import columns_of
from migrations.resources.violations import NAMED

if TYPE_CHECKING:
    from sqlalchemy import Table
    from sqlalchemy.engine import Connection

    from backends.models.resources import FieldSpec, ResourceSpec
    from migrations.resources.operations import Rule


def find_violations(connection: Connection, table: Table, spec: ResourceSpec, rule: Rule) -> list[str]:
    """Return the ids of the first rows that break the rule, one more than a message names.

    Args:
        connection: The connection.
        table: The table as it is, with the names of columns as keys. It has the columns of the rule.
        spec: The specification after the operation.
        rule: The rule.
    """
    columns: list[ColumnElement[Any]] = [table.c[name] for name in columns_of(spec, rule.fields)]
    if rule.kind == "unique":
        is_compared = and_(*(column.is_not(None) for column in columns))
        count = func.count().over(partition_by=columns).label("count_of_same")
        rows = select(table.c.id, count).where(is_compared).subquery()
        query = select(rows.c.id).where(rows.c.count_of_same > 1).order_by(rows.c.id)
    else:
        breaks = _breaks(spec, rule, columns, on_sqlite=connection.dialect.name == "sqlite")
        query = select(table.c.id).where(breaks).order_by(table.c.id)
    return [str(id_) for id_ in connection.scalars(query.limit(NAMED + 1))]


def _breaks(
    spec: ResourceSpec, rule: Rule, columns: list[ColumnElement[Any]], *, on_sqlite: bool
) -> ColumnElement[bool]:
    match rule.kind:
        case "not_null":
            return columns[0].is_(None)
        case "choice":
            return columns[0] == rule.choice
        case "bounds":
            outside = _outside(spec.by_name[rule.fields[0]], columns[0], on_sqlite=on_sqlite)
            return or_(false(), *outside)
        case _:
            return true()


def _outside(
    field: FieldSpec, column: ColumnElement[Any], *, on_sqlite: bool
) -> Iterator[ColumnElement[bool]]:
    """Yield the conditions of values outside the bounds; null is within."""
    if field.kind in {"text", "email"}:
        yield from _not_between(func.char_length(column), field.min_length, field.max_length)
    elif field.kind == "list":
        yield from _not_between(length_of_list(column), field.min_length, field.max_length)
        if field.item is not None:
            yield any_element(column, or_(*_bad_elements(field.item, on_sqlite=on_sqlite)))
    else:
        read = FROM_JSON.get(field.kind, lambda same: same)
        bounds = [None if each is None else read(each) for each in (field.minimum, field.maximum)]
        yield from _not_between(column, *bounds)
        if field.max_digits is not None:
            most = Decimal(10**field.max_digits - 1).scaleb(-(field.decimal_places or 0))
            yield from _not_between(column, -most, most)


def _not_between(value: ColumnElement[Any], least: Any, most: Any) -> Iterator[ColumnElement[bool]]:
    if least is not None:
        yield value < literal(least, value.type)
    if most is not None:
        yield value > literal(most, value.type)


def _bad_elements(item: FieldSpec, *, on_sqlite: bool) -> Iterator[ColumnElement[bool]]:
    """Yield the conditions of elements outside their bounds, or of another type."""
    stored: ColumnElement[Any] = literal_column("element.value")
    kind: ColumnElement[str] = (
        literal_column("element.type", Text) if on_sqlite else func.jsonb_typeof(stored)
    )
    if item.kind == "integer":
        yield kind != ("integer" if on_sqlite else "number")
        for bound, operator in ((item.minimum, "<"), (item.maximum, ">")):
            if bound is not None:
                value: ColumnElement[Any] = literal(bound, BigInteger)
                # As JSONB, values of different types are comparable, so that no conversion fails.
                yield stored.bool_op(operator)(value if on_sqlite else func.to_jsonb(value))
        return
    yield kind != ("text" if on_sqlite else "string")
    text: ColumnElement[str] = literal_column(
        "element.value" if on_sqlite else "element.value #>> '{}'", Text
    )
    yield from _not_between(func.char_length(text), item.min_length, item.max_length)
    if item.kind == "choice":
        yield text.not_in(item.choices)
