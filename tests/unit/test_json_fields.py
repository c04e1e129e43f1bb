"""Stored JSON as the fields that `eitherdb check --rows` examines."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest

from backends.rows import json_fields
from backends.rows.resource_rules import find_form_problems
from tests.contract.declared import Sample

SERVED = {
    "id": "0" * 24,
    "owner_id": "1" * 24,
    "created_at": datetime(2026, 1, 2, tzinfo=UTC),
    "version": 1,
}
ROW = Sample.of_fields(
    {
        **dict(Sample(text="Straße", price=Decimal("1.5"), at=datetime(1, 1, 1, tzinfo=UTC), day=date.max)),
        **SERVED,
    }
).to_row()


def test_values_are_read_as_the_class_has_them() -> None:
    """With the folded forms that such a store does not have."""
    fields = json_fields(Sample.__resource__, ROW)
    assert find_form_problems(Sample.__resource__, fields) == []
    assert (fields["price"], fields["at"], fields["day"]) == (
        Decimal("1.5"),
        datetime(1, 1, 1, tzinfo=UTC),
        date.max,
    )
    assert (fields["text_folded"], fields["note_folded"]) == ("strasse", None)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("price", "x"),
        ("price", 1.5),
        ("at", "yesterday"),
        ("at", 5),
        ("day", "2026-02-30"),
        ("created_at", ""),
        ("text", 5),
    ],
)
def test_value_that_can_not_be_read_stays(name: str, value: Any) -> None:
    """It is the only problem that the check finds."""
    fields = json_fields(Sample.__resource__, {**ROW, name: value})
    assert fields[name] == value
    assert [problem.field for problem in find_form_problems(Sample.__resource__, fields)] == [name]
