"""Fields whose form on the wire is not the domain's."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Annotated

from pydantic import BeforeValidator, Field, PlainSerializer, WithJsonSchema
from pydantic_core import PydanticCustomError

from backends.ids import write_time
from backends.models import MAX_MINOR, trim_email

Timestamp = Annotated[
    datetime,
    PlainSerializer(write_time, when_used="json"),
    WithJsonSchema({"type": "string", "format": "date-time"}),
]


_PLUS_HINT = "in a query a + stands for a blank; write it as %2B"


def _written_time(value: object) -> object:
    """Refuse what pydantic would read as Unix time, in seconds or milliseconds by its size."""
    if isinstance(value, str) and not re.match(r"[0-9]{4}-", value):
        raise PydanticCustomError("datetime_parsing", "Input should be a time such as 2026-11-22T16:25:25Z")
    if isinstance(value, str) and re.search(r":.* [0-9]{2}:?[0-9]{2}$", value):
        raise PydanticCustomError(
            "datetime_parsing", f"Input should have the sign of its zone: {_PLUS_HINT}"
        )
    return value


WrittenTime = BeforeValidator(_written_time)


def _written_email(value: object) -> object:
    """Refuse an address with blanks before the `@`, where there may have been plus signs."""
    if isinstance(value, str) and " " in trim_email(value).rpartition("@")[0]:
        message = f"value is not a valid email address: It has a blank before the @-sign: {_PLUS_HINT}"
        raise PydanticCustomError("value_error", message)
    return value


WrittenEmail = BeforeValidator(_written_email)


def _written_as(pattern: str, error_type: str, message: str) -> BeforeValidator:
    """Refuse what pydantic would understand in a query, though nobody said that it may be written so."""

    def check(value: object) -> object:
        if isinstance(value, str) and not re.fullmatch(pattern, value):
            raise PydanticCustomError(error_type, message)
        return value

    return BeforeValidator(check)


WrittenBool = _written_as("true|false", "bool_parsing", "Input should be true or false")
WrittenInt = _written_as("-?[0-9]+", "int_parsing", "Input should be an integer in digits such as 100")

# Like a SecretStr: a form that gets into a log or a traceback does not tell it.
Secret = Field(repr=False)


def _minor_units(least: int) -> WithJsonSchema:
    """Describe an integer of minor units from `least` on; what is stored is not validated again."""
    return WithJsonSchema({"type": "integer", "format": "int64", "minimum": least, "maximum": MAX_MINOR})


Balance = Annotated[int, _minor_units(0)]
Amount = Annotated[int, _minor_units(1)]
SignedAmount = Annotated[int, _minor_units(-MAX_MINOR)]
