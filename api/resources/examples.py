"""Examples of a resource's rows for the OpenAPI document."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import date
from decimal import Decimal
from typing import Any

from pydantic import ValidationError

from api.resources.names import words
from api.schemas.examples import USER
from backends.models.resources import FieldSpec, Kind, Resource, ResourceSpec

_ID = "6b033b863d1ef9f35065c8d1"
_TIME = "2026-11-22T18:59:18.697Z"
_REFERENCE = "6b033b863d1ef9f35065c8d2"


def public_example(cls: type[Resource]) -> dict[str, Any]:
    """Return an example of a row."""
    served = {"id": _ID, "owner_id": USER["id"], "created_at": _TIME}
    values = {**served, **_values(cls)}
    return {name: values[name] for name in cls.__resource__.public}


def new_example(cls: type[Resource]) -> dict[str, Any] | None:
    """Return an example of a new row: all fields or the required ones, as far as the class accepts them."""
    values = _values(cls)
    fields = _fields(cls.__resource__)
    for chosen in (fields, [field for field in fields if field.required]):
        given = {field.name: values[field.name] for field in chosen}
        with suppress(ValidationError):
            cls.model_validate(given)
            return given
    return None


def changes_example(cls: type[Resource]) -> dict[str, Any]:
    """Return an example of a change: the last field that can be changed, with null if that is a value."""
    changeable = [field for field in _fields(cls.__resource__) if not field.immutable]
    values = _values(cls)
    return {field.name: None if field.nullable else values[field.name] for field in changeable[-1:]}


def _fields(spec: ResourceSpec) -> list[FieldSpec]:
    return [field for field in spec.fields if not field.read_only]


def _values(cls: type[Resource]) -> dict[str, Any]:
    """Return an example of each declared field: the declared one, the default, or one of its kind."""
    values = {}
    for field in cls.__resource__.fields:
        declared = cls.__pydantic_fields__[field.name].examples
        if declared:
            values[field.name] = declared[0]
        elif field.default is not None and field.default != []:
            values[field.name] = field.default
        else:
            values[field.name] = _EXAMPLES[field.kind](field)
    return values


def _text(field: FieldSpec) -> str:
    if field.pattern is not None:
        return _match_of(field.pattern)
    word = words(field.name).capitalize()
    return word.ljust(field.min_length, "x")[: field.max_length]


def _match_of(pattern: str) -> str:
    """Return a text that matches a simple regular expression; another text if it is not simple."""
    try:
        return _written(vars(re)["_parser"].parse(pattern))  # nothing public parses patterns
    except (AttributeError, KeyError, TypeError, ValueError, re.error):
        return ""


def _written(parsed: Any) -> str:
    return "".join(_PARTS[str(code)](argument) for code, argument in parsed)


_CATEGORIES = {"CATEGORY_DIGIT": "1", "CATEGORY_WORD": "a", "CATEGORY_SPACE": " "}


def _class(argument: Any) -> str:
    code, value = argument[0]
    return chr(value[0]) if str(code) == "RANGE" else _PARTS[str(code)](value)


def _repeated(argument: Any) -> str:
    least, _, part = argument
    return _written(part) * int(least)


_PARTS: Mapping[str, Callable[[Any], str]] = {
    "LITERAL": chr,
    "IN": _class,
    "CATEGORY": lambda category: _CATEGORIES[str(category)],
    "MAX_REPEAT": _repeated,
    "MIN_REPEAT": _repeated,
    "SUBPATTERN": lambda argument: _written(argument[-1]),
    "BRANCH": lambda argument: _written(argument[1][0]),
    "AT": lambda _: "",
    "ANY": lambda _: "a",
}
"""The texts that match the parts of a regular expression, as Python parses it."""


def _clamped(value: Any, field: FieldSpec, convert: Callable[[Any], Any]) -> Any:
    """Return the value, or the bound of the field that it exceeds."""
    if field.minimum is not None:
        value = max(value, convert(field.minimum))
    if field.maximum is not None:
        value = min(value, convert(field.maximum))
    return value


def _integer(field: FieldSpec) -> int:
    value = int(_clamped(1, field, int))
    step = field.multiple_of or 1
    return -(-value // step) * step


def _decimal(field: FieldSpec) -> str:
    return f"{_clamped(Decimal('12.50'), field, Decimal):.{field.decimal_places}f}"


def _list(field: FieldSpec) -> list[Any]:
    item = field.item
    return [] if item is None else [_EXAMPLES[item.kind](item)] * max(1, field.min_length)


_EXAMPLES: Mapping[Kind, Callable[[FieldSpec], Any]] = {
    "text": _text,
    "email": lambda _: "ada@example.com",
    "boolean": lambda _: True,
    "choice": lambda field: field.choices[0],
    "integer": _integer,
    "decimal": _decimal,
    "float": lambda field: _clamped(1.5, field, float),
    "time": lambda field: _clamped(_TIME, field, str),
    "date": lambda field: _clamped(date(2026, 11, 22), field, date.fromisoformat).isoformat(),
    "reference": lambda _: _REFERENCE,
    "list": _list,
    "json": lambda _: {},
}
