"""Amounts and currencies."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, Field, WithJsonSchema
from pydantic_core import PydanticCustomError

MAX_MINOR = 2**53 - 1
"""The maximum balance of an account and the maximum amount of an entry, in minor units.

Every JSON client reads integers up to this one exactly (RFC 8259, section 6). JavaScript reads them as
64-bit floating-point numbers.
"""


def _currency(code: str) -> str:
    """Reject text that is not an ISO 4217 code, and codes without a minor unit (metals, XXX, XTS)."""
    from iso4217 import Currency as Iso4217  # noqa: PLC0415 - it reads all of ISO's table

    try:
        has_minor_unit = Iso4217(code).exponent is not None
    except ValueError:
        has_minor_unit = False
    if not has_minor_unit:
        message = "Currency should be a code of ISO 4217 with a minor unit, such as EUR"
        raise PydanticCustomError("currency", message)
    return code


# Strict: "5", 5.0 and true are not valid amounts.
AmountMinor = Annotated[
    int,
    Field(strict=True, ge=1, le=MAX_MINOR),
    WithJsonSchema({"type": "integer", "format": "int64", "minimum": 1, "maximum": MAX_MINOR}),
]
Currency = Annotated[
    str,
    AfterValidator(_currency),
    WithJsonSchema({"type": "string", "pattern": "^[A-Z]{3}$"}),
]
