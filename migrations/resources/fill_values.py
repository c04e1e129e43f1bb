"""The values that revisions give to rows: whether a field accepts them, on every database."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from decimal import Decimal, InvalidOperation
from typing import Any

from backends.ids import is_id
from backends.models.resources import FieldSpec, Kind
from backends.models.resources.values import FROM_JSON
from migrations import MigrationError
from migrations.resources.history import Step


def check_fills(revision: str, steps: Iterable[Step]) -> None:
    """Refuse values for rows that the fields don't accept.

    Raises:
        MigrationError: Names the field and the value.
    """
    for step in steps:
        for fill in step.operation.fills():
            field = step.after[fill.resource].by_name.get(fill.field)
            if field is not None and not fits(field, fill.value):
                raise MigrationError(
                    f"revision {revision}: {fill.value!r} is no value of {fill.resource}.{fill.field}; "
                    "nothing was changed"
                )


def python_value(field: FieldSpec, value: Any) -> Any:
    """Return the Python value of a value in JSON types that fits the field."""
    if value is None:
        return None
    if field.kind == "decimal":
        return Decimal(value).quantize(Decimal(1).scaleb(-(field.decimal_places or 0)))
    if field.kind == "list" and field.item is not None:
        return [python_value(field.item, each) for each in value]
    if field.kind == "float":
        return float(value)
    return FROM_JSON[field.kind](value) if field.kind in FROM_JSON else value


def fits(field: FieldSpec, value: Any) -> bool:
    """Return whether a value in JSON types has the type and the bounds of a field."""
    return field.nullable if value is None else _FITS[field.kind](field, value)


def _text(field: FieldSpec, value: Any) -> bool:
    return isinstance(value, str) and "\x00" not in value and _has_length(field, value)


def _has_length(field: FieldSpec, value: str | list[Any]) -> bool:
    return field.min_length <= len(value) and (field.max_length is None or len(value) <= field.max_length)


def _integer(field: FieldSpec, value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and _is_within(field, value)


def _float(field: FieldSpec, value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and _is_within(field, value)


def _is_within(field: FieldSpec, number: float | Decimal) -> bool:
    exact = Decimal(str(number))
    least, most = (
        None if bound is None else Decimal(str(bound)) for bound in (field.minimum, field.maximum)
    )
    return (least is None or least <= exact) and (most is None or exact <= most)


def _decimal(field: FieldSpec, value: Any) -> bool:
    try:
        number = Decimal(value) if isinstance(value, str) else Decimal("NaN")
    except InvalidOperation:
        return False
    if not number.is_finite():
        return False
    scaled = number.scaleb(field.decimal_places or 0)
    is_exact = scaled == scaled.to_integral_value()
    return is_exact and abs(scaled) < 10 ** (field.max_digits or 0) and _is_within(field, number)


def _read(field: FieldSpec, value: Any) -> bool:
    try:
        FROM_JSON[field.kind](value)
    except (TypeError, ValueError):
        return False
    return True


def _list(field: FieldSpec, value: Any) -> bool:
    if not isinstance(value, list) or not _has_length(field, value):
        return False
    return field.item is None or all(fits(field.item, each) for each in value)


_FITS: Mapping[Kind, Callable[[FieldSpec, Any], bool]] = {
    "text": _text,
    "email": _text,
    "choice": lambda field, value: value in field.choices,
    "boolean": lambda _, value: isinstance(value, bool),
    "integer": _integer,
    "float": _float,
    "decimal": _decimal,
    "time": _read,
    "date": _read,
    "reference": lambda _, value: isinstance(value, str) and is_id(value),
    "list": _list,
    "json": lambda *_: True,
}
