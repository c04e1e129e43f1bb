"""Field types of the schemas: serialisation, and validation of query parameters."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from pydantic import BeforeValidator, Field, PlainSerializer, WithJsonSchema
from pydantic_core import PydanticCustomError

from backends.ids import write_time
from backends.models import MAX_MINOR, trim_email
from backends.models.queries import PLUS_HINT

Timestamp = Annotated[
    datetime,
    PlainSerializer(write_time, when_used="json"),
    WithJsonSchema({"type": "string", "format": "date-time"}),
]


def _check_query_email(value: object) -> object:
    """Reject an email address with spaces before the `@`. They may be decoded plus signs."""
    if isinstance(value, str) and " " in trim_email(value).rpartition("@")[0]:
        message = f"value is not a valid email address: It has a blank before the @-sign: {PLUS_HINT}"
        raise PydanticCustomError("value_error", message)
    return value


QueryEmail = BeforeValidator(_check_query_email)


# Like SecretStr: the value does not appear in logs and tracebacks.
Secret = Field(repr=False)


def _minor_units(least: int) -> WithJsonSchema:
    """Return the schema of an integer in minor units. Stored values are not validated again."""
    return WithJsonSchema({"type": "integer", "format": "int64", "minimum": least, "maximum": MAX_MINOR})


Balance = Annotated[int, _minor_units(0)]
Amount = Annotated[int, _minor_units(1)]
SignedAmount = Annotated[int, _minor_units(-MAX_MINOR)]
