"""The values that an operation gives to rows: in JSON types, as a client would write them."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, datetime
from decimal import Decimal
from typing import Any, Literal

from pydantic import EmailStr, Field, JsonValue, TypeAdapter, ValidationError

from backends.models.resources import FieldSpec
from backends.models.resources.constraints import annotated
from backends.models.resources.values import FROM_JSON, metadata_of, to_json

_TYPES: dict[str, Any] = {
    "text": str,
    "email": EmailStr,
    "boolean": bool,
    "integer": int,
    "decimal": Decimal,
    "float": float,
    "time": datetime,
    "date": date,
    "reference": str,
    "json": dict[str, JsonValue],
}


def canonical(place: str, field: FieldSpec, value: Any) -> Any:
    """Return a value of a field in JSON types, as responses have it: `12.50` for `12.5`.

    Raises:
        ValueError: It is no value of the field.
    """
    if value is None and field.nullable:
        return None
    try:
        return to_json(adapter_of(field).validate_python(value))
    except ValidationError as exc:
        raise ValueError(f"{place}: {value!r} is no value of the field: {exc.errors()[0]['msg']}") from None


def adapter_of(field: FieldSpec) -> TypeAdapter[Any]:
    """Return what validates a value of a field other than null."""
    return TypeAdapter(_annotation(field))


def require_stored(place: str, field: FieldSpec, value: Any) -> None:
    """Refuse a value that no row can have, or that is written in another way than it is stored.

    Patterns and multiples are rules of the declaration alone, and change without a revision.

    Raises:
        ValueError: The message says what would be right.
    """
    found = canonical(place, replace(field, pattern=None, multiple_of=None), value)
    if found != value or isinstance(found, bool) != isinstance(value, bool):
        raise ValueError(f"{place}: write the value {value!r} as {found!r}")


def _annotation(field: FieldSpec) -> Any:
    if field.kind == "choice":
        return Literal[field.choices]
    if field.kind == "list" and field.item is not None:
        element: Any = _annotation(field.item)
        elements: Any = list[element]
        return annotated(elements, [_lengths(field)])
    bounds: list[Any] = []
    if field.kind == "text":
        bounds = [_lengths(field), *([Field(pattern=field.pattern)] if field.pattern else [])]
    elif field.kind == "reference":
        bounds = [Field(pattern="^[0-9a-f]{24}$")]
    elif field.kind == "decimal":
        bounds = [Field(max_digits=field.max_digits, decimal_places=field.decimal_places)]
    elif field.kind == "integer" and field.multiple_of:
        bounds = [Field(multiple_of=field.multiple_of)]
    if field.kind in {"decimal", "float", "time", "date"}:
        read: Any = FROM_JSON.get(field.kind, float)
        least, most = (None if bound is None else read(bound) for bound in (field.minimum, field.maximum))
        bounds += [Field(ge=least)] * (least is not None) + [Field(le=most)] * (most is not None)
    return annotated(_TYPES[field.kind], [*bounds, *metadata_of(field)])


def _lengths(field: FieldSpec) -> Any:
    return Field(min_length=field.min_length, max_length=field.max_length)
