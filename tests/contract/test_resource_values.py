"""Every kind of field: values come back as they were given, in rows and in instances."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any, cast

import pytest

from backends.errors import VersionMismatch
from backends.models import User
from backends.protocols import Backend, ResourceRepository

from .declared import Sample, Size

pytestmark = pytest.mark.rule("Null", "Text", "Time", "Numbers")

FULL: dict[str, Any] = {
    "text": "Straße \U0001d538 \ufffe\uffff",
    "note": "",
    "address": "Ada@Example.com",
    "flag": True,
    "state": "it's: \\ closed",
    "number": 2**53 - 1,
    "price": Decimal("-99999999999999.9999"),
    "weight": 0.1 + 0.2,
    "at": datetime(2026, 11, 23, 4, 5, 6, 7_000, tzinfo=UTC),
    "day": date(2026, 2, 28),
    "tags": ["b", "a", "", 'quo"te', "\\", "ü"],
    "counts": [3, -(2**53 - 1), 3],
    "size": Size(width=-1, height=2.0),
    "extra": {"z": 1, "$set": {"a.b": 1.0}, "": [None, True, "\x00", 10**30, 1e-300]},
}
EXTREMES: dict[str, Any] = {
    "text": "",
    "flag": False,
    "state": "open",
    "number": -(2**53 - 1),
    "price": Decimal("0.0001"),
    "weight": -1.7976931348623157e308,
    "at": datetime(1, 1, 1, tzinfo=UTC),
    "day": date(1, 1, 1),
    "tags": [],
    "extra": {},
}
OTHER_EXTREMES: dict[str, Any] = {
    "text": "x" * 100,
    "weight": 5e-324,
    "at": datetime(9999, 12, 31, 23, 59, 59, 999_000, tzinfo=UTC),
    "day": date(9999, 12, 31),
    "price": Decimal(0),
    "number": 0,
}
SAMPLES = [FULL, EXTREMES, OTHER_EXTREMES, {"text": "only"}]


@pytest.fixture
def samples(library: Backend) -> ResourceRepository[Sample]:
    """Return the repository of samples."""
    return cast("ResourceRepository[Sample]", vars(library)["resources"]["samples"])


async def rows_of(samples: ResourceRepository[Sample], member: User) -> list[dict[str, Any]]:
    """Return the rows of an owner, oldest first, without what the server sets."""
    page = await samples.list(owner_id=member.id, sort="created_at", limit=1000)
    return page.rows


@pytest.mark.parametrize("given", SAMPLES, ids=["full", "least", "most", "default"])
async def test_values_come_back(
    samples: ResourceRepository[Sample], member: User, given: dict[str, Any]
) -> None:
    """`add` returns what `get` and lists return, with the types of the class."""
    new = Sample(**given)
    row = await samples.add(new, owner_id=member.id)
    assert {name: getattr(row, name) for name in Sample.model_fields} == dict(new)
    assert repr(await samples.get(row.id, owner_id=member.id)) == repr(row)
    page = await samples.list(owner_id=member.id)
    assert page.count == 1
    assert repr(page.data) == repr([row])
    assert repr(page.rows) == repr([row.to_row()])


async def test_many_values_come_back(samples: ResourceRepository[Sample], member: User) -> None:
    """`add_many` stores the same values as `add`."""
    rows = await samples.add_many([Sample(**given) for given in SAMPLES], owner_id=member.id)
    assert [row.id for row in rows] == sorted(row.id for row in rows)
    for row in rows:
        assert repr(await samples.get(row.id)) == repr(row)
    assert repr(await rows_of(samples, member)) == repr([row.to_row() for row in rows])
    for row, given in zip(rows, SAMPLES, strict=True):
        one = await samples.add(Sample(**given), owner_id=member.id)
        for stored in ("at", "day", "weight", "price"):
            if (value := getattr(row, stored)) is not None:
                found = await samples.list(owner_id=member.id, where={stored: value}, sort="created_at")
                assert [each.id for each in found.data] == [row.id, one.id], stored


async def test_each_field_changes_alone(samples: ResourceRepository[Sample], member: User) -> None:
    """A change sets one field, to a value and to null."""
    expected = await samples.add(Sample(**EXTREMES), owner_id=member.id)
    for name, value in [*FULL.items(), *((name, None) for name in FULL if name not in {"text", "counts"})]:
        changed = await samples.update(expected.id, {name: value}, owner_id=member.id)
        stored = getattr(Sample(**{"text": "", name: value}), name)
        expected = expected.model_copy(update={name: stored, "version": expected.version + 1})
        assert repr(changed) == repr(expected)
    assert repr(await samples.get(expected.id)) == repr(expected)
    with pytest.raises(VersionMismatch):
        await samples.update(expected.id, {"flag": True}, versions=[expected.version + 1])
    with pytest.raises(ValueError, match="has no field nothing"):
        await samples.update(expected.id, {"nothing": 1})
