"""Field types of the schemas: serialisation, and validation of query parameters."""

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


def _check_query_time(value: object) -> object:
    """Reject numbers, which pydantic would parse as Unix time in seconds or milliseconds."""
    if isinstance(value, str) and not re.match(r"[0-9]{4}-", value):
        raise PydanticCustomError("datetime_parsing", "Input should be a time such as 2026-11-22T16:25:25Z")
    if isinstance(value, str) and re.search(r":.* [0-9]{2}:?[0-9]{2}$", value):
        raise PydanticCustomError(
            "datetime_parsing", f"Input should have the sign of its zone: {_PLUS_HINT}"
        )
    return value


QueryTime = BeforeValidator(_check_query_time)


def _check_query_email(value: object) -> object:
    """Reject an email address with spaces before the `@`. They may be decoded plus signs."""
    if isinstance(value, str) and " " in trim_email(value).rpartition("@")[0]:
        message = f"value is not a valid email address: It has a blank before the @-sign: {_PLUS_HINT}"
        raise PydanticCustomError("value_error", message)
    return value


QueryEmail = BeforeValidator(_check_query_email)


def _query_text(pattern: str, error_type: str, message: str) -> BeforeValidator:
    """Reject undocumented forms of a value in a query, such as `yes` for true, which pydantic accepts."""

    def check(value: object) -> object:
        if isinstance(value, str) and not re.fullmatch(pattern, value):
            raise PydanticCustomError(error_type, message)
        return value

    return BeforeValidator(check)


QueryBool = _query_text("true|false", "bool_parsing", "Input should be true or false")
QueryInt = _query_text("-?[0-9]+", "int_parsing", "Input should be an integer in digits such as 100")

# Like SecretStr: the value does not appear in logs and tracebacks.
Secret = Field(repr=False)


def _minor_units(least: int) -> WithJsonSchema:
    """Return the schema of an integer in minor units. Stored values are not validated again."""
    return WithJsonSchema({"type": "integer", "format": "int64", "minimum": least, "maximum": MAX_MINOR})


Balance = Annotated[int, _minor_units(0)]
Amount = Annotated[int, _minor_units(1)]
SignedAmount = Annotated[int, _minor_units(-MAX_MINOR)]
