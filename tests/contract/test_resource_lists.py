"""Sorts, keyset pagination, filters and search of any resource, compared with Python's."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest

from backends.errors import BackendError
from backends.models import fold_case
from backends.models.resources import Resource
from backends.models.resources.filters import Filter, filters_of

from .resource_rows import Rows
from .subjects import Subject

pytestmark = pytest.mark.rule("Order", "Pages", "Null", "Declared lists")

NUMBER = 9


@pytest.fixture
async def added(rows: Rows, subject: Subject) -> list[Any]:
    """Return the stored rows, some of which have null or equal values.

    A database may store a null that a row was added with in another way than one that came later.
    """
    cls = subject.cls
    found = [await rows.add(cls) for _ in range(rows.capacity(cls, NUMBER))]
    nullable = [field.name for field in cls.__resource__.fields if field.nullable]
    for number, row in enumerate(found[::2]):
        with suppress(BackendError):  # the class may refuse it
            await rows.of(cls).update(row.id, dict.fromkeys(nullable[number % 3 :: 3]))
    others = [await rows.of(cls).get(row["id"]) for row in (await rows.of(cls).list(limit=1000)).rows]
    assert {row.id for row in found} <= {row.id for row in others}
    return others  # with those to which the rows refer


def key_of(name: str) -> Callable[[Resource], Any]:
    """Return the sort key in Python: null first, text by code point."""

    def key(row: Resource) -> tuple[Any, ...]:
        value = getattr(row, name)
        return (value is not None, *(() if value is None else (value,)), row.id)

    return key


async def test_list_sorts_with_null_first_and_pages_through_it(
    rows: Rows, subject: Subject, added: list[Any]
) -> None:
    """Descending is the exact reverse. Pages of any size lead through all rows once."""
    for name in subject.cls.__resource__.sorts:
        for descending in (False, True):
            expected = [row.id for row in sorted(added, key=key_of(name), reverse=descending)]
            sort = f"-{name}" if descending else name
            for limit in (1, 4, len(added)):
                assert await ids_of_pages(rows, subject, sort, limit, len(added)) == expected, sort


async def ids_of_pages(rows: Rows, subject: Subject, sort: str, limit: int, count: int) -> list[str]:
    """Return the ids of all pages of this size."""
    found: list[str] = []
    after = None
    while True:
        page = await rows.of(subject.cls).list(sort=sort, limit=limit, after=after)
        assert page.count == count
        found += [str(row["id"]) for row in page.rows]
        after = page.next
        if after is None:
            return found


def fits(row: Resource, each: Filter, value: Any) -> bool:
    """Return whether a row fits a filter. Null fits none but `__isnull`."""
    stored = getattr(row, each.field.name)
    if each.operator == "is_null":
        return (stored is None) is value
    if stored is None:
        return False
    many = value if isinstance(value, tuple) else (value,)
    compared: dict[str, Callable[[], bool]] = {
        "any_of": lambda: stored in many,
        "contains": lambda: any(element in stored for element in many),
        "gt": lambda: stored > value,
        "gte": lambda: stored >= value,
        "lt": lambda: stored < value,
        "lte": lambda: stored <= value,
    }
    return compared[each.operator]()


def asked_of(each: Filter, stored: list[Any]) -> list[Any]:
    """Return values to filter by: those that rows have, parts of them, and several at once."""
    if each.operator == "is_null":
        return [True, False]
    if each.operator == "contains":
        stored = [element for elements in stored for element in elements]
        near = [element[:1] if isinstance(element, str) else element // 10 for element in stored]
        choices = each.field.item.choices if each.field.item else ()
        stored = [*stored, *(element for element in near if not choices or element in choices)]
    several = [(), tuple(stored[:1]), tuple(stored[1:4]), tuple(stored)[:5] * 2]
    return [*stored[:5], *(several if each.operator in {"any_of", "contains"} else [])]


async def test_filter_finds_what_python_finds(rows: Rows, subject: Subject, added: list[Any]) -> None:
    """By each operator and value, also by several values."""
    for each in filters_of(subject.cls.__resource__):
        stored = [getattr(row, each.field.name) for row in added]
        for value in asked_of(each, [value for value in stored if value is not None]):
            page = await rows.of(subject.cls).list(where={each.name: value}, limit=1000)
            expected = {row.id for row in added if fits(row, each, value)}
            assert ({row["id"] for row in page.rows}, page.count) == (expected, len(expected)), (
                f"{each.name}={value!r}"
            )


async def test_filters_sorts_and_pages_are_combined(rows: Rows, subject: Subject, added: list[Any]) -> None:
    """A row fits all filters and the owner."""
    spec = subject.cls.__resource__
    row = added[len(added) // 2]
    where: dict[str, Any] = {"created_after": min(each.created_at for each in added)}
    for each in filters_of(spec):
        value = getattr(row, each.field.name)
        if each.operator == "is_null":
            where[each.name] = value is None
        elif value and each.operator in {"any_of", "gte", "lte", "contains"}:
            where[each.name] = value[0] if each.operator == "contains" else value
    filters = {each.name: each for each in filters_of(spec)}
    fitting = [
        each
        for each in added
        if each.created_at > where["created_after"]
        and all(fits(each, filters[name], value) for name, value in where.items() if name in filters)
    ]
    for sort in spec.sorts:
        page = await rows.of(subject.cls).list(where=where, sort=sort, limit=1000)
        expected = [each.id for each in sorted(fitting, key=key_of(sort))]
        assert [each["id"] for each in page.rows] == expected
    if spec.owned:
        page = await rows.of(subject.cls).list(where=where, owner_id=row.owner_id)
        assert page.count == len([each for each in fitting if each.owner_id == row.owner_id])
        assert (await rows.of(subject.cls).list(where=where, owner_id="0" * 24)).count == 0


async def test_unknown_filter_and_order_are_refused(rows: Rows, subject: Subject) -> None:
    """A misspelt filter is no list of all rows."""
    spec, repository = subject.cls.__resource__, rows.of(subject.cls)
    with pytest.raises(ValueError, match=f"^{spec.name} can't be filtered by nope: give one of "):
        await repository.list(where={"nope": 1})
    unsorted = next((each.name for each in spec.fields if not each.sortable), "nope")
    for sort in (unsorted, f"-{unsorted}"):
        with pytest.raises(
            ValueError, match=f"^{spec.name} can't be sorted by {sort}: give one of created_at"
        ):
            await repository.list(sort=sort)


@pytest.mark.rule("Search")
async def test_search_finds_parts_of_texts_in_any_case(
    rows: Rows, subject: Subject, added: list[Any]
) -> None:
    """`q` searches the searchable fields. A resource without one has no `q`."""
    searched = subject.cls.__resource__.searched
    texts = [text for row in added for name in searched if (text := getattr(row, name))]
    for text in [part for each in texts for part in (each, each[1:].upper() or each, each[-1].lower())]:
        page = await rows.of(subject.cls).list(where={"q": text}, limit=1000)
        expected = {
            row.id
            for row in added
            if any(
                fold_case(text) in fold_case(stored)
                for name in searched
                if (stored := getattr(row, name)) is not None
            )
        }
        assert {row["id"] for row in page.rows} == expected, text


@pytest.mark.rule("Ownership")
async def test_public_rows_of_others_are_found_if_asked_for(
    rows: Rows, subject: Subject, added: list[Any]
) -> None:
    """`public` adds the rows that fit `public_when` to one's own; no row is listed twice."""
    spec = subject.cls.__resource__
    if not spec.owned:
        return
    stranger = await rows.user()
    condition = dict(spec.public_when)
    own = [await rows.add(subject.cls, stranger)]
    if condition and rows.capacity(subject.cls, NUMBER) == NUMBER:
        own.append(await rows.add(subject.cls, stranger, **condition))
    public = {row.id for row in added if all(getattr(row, name) == condition[name] for name in condition)}
    public = public if condition else set()
    for sort in spec.sorts:
        page = await rows.of(subject.cls).list(owner_id=stranger.id, public=True, sort=sort, limit=1000)
        found = [row["id"] for row in page.rows]
        assert sorted(found) == sorted(public | {row.id for row in own})
        assert page.count == len(found)
    everything = await rows.of(subject.cls).list(public=True, limit=1000)
    assert public <= {row["id"] for row in everything.rows} <= public | {row.id for row in own}
    for row in added:
        if row.id in public:
            assert await rows.of(subject.cls).get(row.id, owner_id=stranger.id, public=True) == row
    assert (await rows.of(subject.cls).list(owner_id=stranger.id)).count == len(own)
