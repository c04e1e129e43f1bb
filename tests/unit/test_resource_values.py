"""Values of fields in JSON types."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis.strategies import integers

from backends.models.resources.values import scaled_text, to_json


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


@given(scaled=integers(-(10**18) + 1, 10**18 - 1), places=integers(0, 18))
def test_stored_decimal_is_written_as_its_value(scaled: int, places: int) -> None:
    """Lists write what `Decimal` would, digit by digit."""
    assert scaled_text(places)(scaled) == to_json(Decimal(scaled).scaleb(-places))


def test_stored_decimal_is_an_integer() -> None:
    """Anything else in a column is an error and not another number."""
    with pytest.raises(ValueError, match="format"):
        scaled_text(2)(12.5)  # type: ignore[arg-type]
