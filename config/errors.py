"""Errors of the configuration; a message names the variable and its valid values."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, get_args

if TYPE_CHECKING:
    from pydantic.fields import FieldInfo


class SettingsError(Exception):
    """The configuration is invalid; the message names each setting and its valid values."""


def _bounded_number(field: FieldInfo) -> str | None:
    """Describe the valid numbers of a field; return None for a field without bounds."""
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
    """Format a pydantic error as `VARIABLE: error; valid values`."""
    message = str(error["msg"]).removeprefix("Value error, ")
    if not error["loc"]:
        return message  # the message of _check_together already names the variable
    name = str(error["loc"][0])
    field = fields.get(name)
    if error["type"] == "literal_error" and field is not None:
        message = f"not a valid value; choose one of: {', '.join(get_args(field.annotation))}"
    if field is not None and (number := _bounded_number(field)):
        message = f"not a valid value; give {number}"
    if error["type"] == "bool_parsing":
        message = "not a valid value; choose one of: true, false"
    return f"{name.upper()}: {message}"
