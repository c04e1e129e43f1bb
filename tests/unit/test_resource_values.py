"""Values of fields in JSON types."""

from __future__ import annotations

from decimal import Decimal

import pytest

from backends.models.resources.values import to_json


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (Decimal("0.00000001"), "0.00000001"),
        (Decimal("0E-8"), "0.00000000"),
        (Decimal("-12.50"), "-12.50"),
    ],
)
def test_decimal_is_written_without_an_exponent(value: Decimal, text: str) -> None:
    """`str` would write 1E-8, which is no decimal number for clients."""
    assert to_json(value) == text
