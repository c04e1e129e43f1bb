"""Faults of the configuration, in words that name the variable and its valid values."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, get_args

if TYPE_CHECKING:
    from pydantic.fields import FieldInfo


class SettingsError(Exception):
    """The configuration can't be used; the text names each setting and its valid values."""


def _bounded_number(field: FieldInfo) -> str | None:
    """Say in words which numbers are valid; None for a field that is no number with bounds."""
    bounds = {
        name: bound
        for rule in field.metadata
        for name in ("gt", "ge", "le")
        if (bound := getattr(rule, name, None)) is not None
    }
    if "le" not in bounds:
        return None
    kind = "an integer" if field.annotation is int else "a number"
    least = f"at least {bounds['ge']}" if "ge" in bounds else f"more than {bounds['gt']}"
    return f"{kind}, {least} and at most {bounds['le']}"


def describe(error: Any, fields: Mapping[str, FieldInfo]) -> str:
    """Turn one pydantic error into `VARIABLE: what is wrong; what would be right`."""
    message = str(error["msg"]).removeprefix("Value error, ")
    if not error["loc"]:
        return message  # _check_together names the variable itself
    name = str(error["loc"][0])
    field = fields.get(name)
    if error["type"] == "literal_error" and field is not None:
        message = f"not a valid value; choose one of: {', '.join(get_args(field.annotation))}"
    if field is not None and (number := _bounded_number(field)):
        message = f"not a valid value; give {number}"
    if error["type"] == "bool_parsing":
        message = "not a valid value; choose one of: true, false"
    return f"{name.upper()}: {message}"
