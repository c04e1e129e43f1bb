"""Amounts and currencies."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, Field, WithJsonSchema
from pydantic_core import PydanticCustomError

MAX_MINOR = 2**53 - 1
"""The most minor units that an account holds or an entry moves.

JSON carries integers up to here to every client unchanged (RFC 8259, section 6): JavaScript reads them as
64-bit floating-point numbers.
"""


def _currency(code: str) -> str:
    """Refuse what is no code of ISO 4217, and codes without a minor unit (metals, XXX, XTS)."""
    from iso4217 import Currency as Iso4217  # noqa: PLC0415 - it reads all of ISO's table

    try:
        has_minor_unit = Iso4217(code).exponent is not None
    except ValueError:
        has_minor_unit = False
    if not has_minor_unit:
        message = "Currency should be a code of ISO 4217 with a minor unit, such as EUR"
        raise PydanticCustomError("currency", message)
    return code


# Strict: neither "5" nor 5.0 nor true is an amount of money.
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
