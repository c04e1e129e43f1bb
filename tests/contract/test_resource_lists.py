"""Sorts, keyset pagination and filters of every kind of field, compared with Python's."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any, cast

import pytest

from backends.models import NewUser, User
from backends.models.resources.filters import filters_of
from backends.protocols import Backend, ResourceRepository

from .declared import Sample

pytestmark = pytest.mark.rule("Order", "Pages", "Null", "Ownership")

T = datetime(2026, 1, 1, tzinfo=UTC)
VALUES: dict[str, list[Any]] = {
    "text": ["a", "B", "ä", "\U0001d538", "a"],
    "note": [None, "", "x", "X", None],
    "address": [None, "a@b.io", "c@d.io", None, "a@b.io"],
    "flag": [None, True, False, True, None],
    "state": ["open", None, "it's: \\ closed", "open", None],
    "number": [None, 10, 9, -1, 10],
    "price": [None, Decimal("1.5"), Decimal("-0.0001"), Decimal(1), Decimal("1.5")],
    "weight": [0.5, None, -2.0, 1e300, None],
    "at": [T, None, T + timedelta(milliseconds=1), datetime(1, 1, 1, tzinfo=UTC), None],
    "day": [None, date(2026, 1, 2), date(1, 1, 1), None, date(9999, 12, 31)],
    "tags": [None, [], ["a"], ["a", "b"], ["ab"]],
    "counts": [[], [1], [1, 2], [12], [2]],
}
NUMBER = len(VALUES["text"])


@pytest.fixture
def samples(library: Backend) -> ResourceRepository[Sample]:
    """Return the repository of samples."""
    return cast("ResourceRepository[Sample]", vars(library)["resources"]["samples"])


@pytest.fixture
async def rows(samples: ResourceRepository[Sample], member: User) -> list[Sample]:
    """Return a row for each place in VALUES, of one owner."""
    forms = [Sample(**{name: values[place] for name, values in VALUES.items()}) for place in range(NUMBER)]
    return [await samples.add(form, owner_id=member.id) for form in forms]


def key_of(name: str) -> Callable[[Sample], Any]:
    """Return the sort key in Python: null first, text by code point."""

    def key(row: Sample) -> tuple[Any, ...]:
        value = getattr(row, name)
        return (value is not None, *(() if value is None else (value,)), row.id)

    return key


@pytest.mark.parametrize("descending", [False, True], ids=["ascending", "descending"])
@pytest.mark.parametrize("name", Sample.__resource__.sorts)
async def test_list_sorts_with_null_first_and_pages_through_it(
    samples: ResourceRepository[Sample], member: User, rows: list[Sample], name: str, *, descending: bool
) -> None:
    """Descending is the exact reverse. Pages of any size lead through all rows once."""
    expected = [row.id for row in sorted(rows, key=key_of(name), reverse=descending)]
    sort = f"-{name}" if descending else name
    for limit in (1, 2, NUMBER):
        found: list[str] = []
        after = None
        while True:
            page = await samples.list(owner_id=member.id, sort=sort, limit=limit, after=after)
            assert page.count == NUMBER
            found += [row["id"] for row in page.rows]
            after = page.next
            if after is None:
                break
        assert found == expected


def fits(row: Sample, name: str, operator: str, value: Any) -> bool:
    """Return whether a row fits a filter."""
    stored = getattr(row, name)
    if operator == "is_null":
        return (stored is None) is value
    if stored is None:
        return False
    many = value if isinstance(value, tuple) else (value,)
    compared: dict[str, Callable[[], bool]] = {
        "any_of": lambda: stored in many,
        "contains": lambda: any(each in stored for each in many),
        "gt": lambda: stored > value,
        "gte": lambda: stored >= value,
        "lt": lambda: stored < value,
        "lte": lambda: stored <= value,
    }
    return compared[operator]()


FILTERS = [each for each in filters_of(Sample.__resource__) if each.field.name in VALUES]


@pytest.mark.parametrize("each", FILTERS, ids=lambda each: each.name)
async def test_filter_finds_what_python_finds(
    samples: ResourceRepository[Sample], member: User, rows: list[Sample], each: Any
) -> None:
    """Null fits no filter but `__isnull`."""
    name = each.field.name
    values = [value for value in VALUES[name] if value is not None]
    if each.operator == "is_null":
        asked: list[Any] = [True, False]
    elif each.operator == "contains":
        asked = ["a", "b", ("b", "ab"), "", "nothing"] if name == "tags" else [1, 12, (2, 12), 7]
    elif each.operator == "any_of":
        asked = [*values, (), tuple(values[:1]), tuple(values[:3]), tuple(values) * 2]
    else:
        asked = values
    for value in asked:
        page = await samples.list(owner_id=member.id, where={each.name: value}, sort="created_at")
        expected = {row.id for row in rows if fits(row, name, each.operator, value)}
        assert ({row["id"] for row in page.rows}, page.count) == (expected, len(expected)), value


async def test_filters_are_combined(
    samples: ResourceRepository[Sample], member: User, rows: list[Sample]
) -> None:
    """A row fits all filters, the search and the owner."""
    where = {"text": ("a", "B"), "number__gte": 10, "tags__isnull": False, "q": "X"}
    assert (await samples.list(owner_id=member.id, where=where)).rows == []
    where |= {"q": None}
    found = await samples.list(owner_id=member.id, where=where, sort="number")
    assert [row["id"] for row in found.rows] == sorted([rows[1].id, rows[4].id])
    assert (await samples.list(owner_id="0" * 24, where=where)).count == 0


async def test_public_rows_of_others_are_found_if_asked_for(
    samples: ResourceRepository[Sample], member: User, rows: list[Sample], library: Backend
) -> None:
    """`public` adds the rows that fit `public_when` to one's own; no row is listed twice."""
    number = (await library.users.list(limit=0)).count
    stranger = await library.users.add(NewUser(email=f"s{number}@example.com", hashed_password="x"))
    forms = [Sample(text="own"), Sample(text="own and public", state="open")]
    own = {(await samples.add(form, owner_id=stranger.id)).id for form in forms}
    public = {row.id for row in rows if row.state == "open"}
    for sort in ("text", "-state", "created_at"):
        page = await samples.list(owner_id=stranger.id, public=True, sort=sort, limit=1000)
        found = [row["id"] for row in page.rows]
        assert public | own <= set(found)
        assert not {row.id for row in rows if row.state != "open"} & set(found)
        assert len(found) == len(set(found)) == page.count
    for row in rows:
        if row.state == "open":
            assert await samples.get(row.id, owner_id=stranger.id, public=True) == row
    assert (await samples.list(owner_id=stranger.id)).count == len(own)
    assert member.id != stranger.id
