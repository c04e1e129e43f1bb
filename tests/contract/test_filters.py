"""Filters: single conditions and their combinations."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from itertools import product
from typing import Any

import pytest

from backends.models import (
    Item,
    ItemChanges,
    ItemFilter,
    ItemSort,
    NewItem,
    Page,
    User,
    UserChanges,
    UserFilter,
    UserSort,
)
from backends.protocols import Backend
from eitherdb_contract.clock import ManualClock

from .list_kinds import Row, position, sorted_by
from .samples import UNKNOWN_ID, new_item, new_user

pytestmark = pytest.mark.rule("Pages")

MILLISECOND = timedelta(milliseconds=1)
MICROSECOND = timedelta(microseconds=1)
USER_SORTS: list[UserSort] = ["-created_at", "created_at", "email", "-email"]
ITEM_SORTS: list[ItemSort] = ["-created_at", "created_at", "title", "-title"]
START = datetime(2026, 11, 22, 16, 25, 25, 123_000, tzinfo=UTC)
EDGES = [datetime(1, 1, 1, tzinfo=UTC), datetime(9999, 12, 31, 23, 59, 59, 999_000, tzinfo=UTC)]


def _fits(row: Any, filled: dict[str, Any]) -> bool:
    """Return whether a row matches these filter fields. The row's texts are ASCII."""
    after, before = filled["created_after"], filled["created_before"]
    texts = [text.lower() for name in ("title", "description") if (text := getattr(row, name, None))]
    return (
        (after is None or row.created_at > after)
        and (before is None or row.created_at < before)
        and all(
            getattr(row, name) == filled[name]
            for name in ("title", "is_active")
            if filled.get(name) is not None
        )
        and (not filled.get("q") or any(filled["q"].lower() in text for text in texts))
    )


def _expected(rows: list[Any], sort: str, *, skip: int = 0, limit: int = 100, start: int = 0) -> Page[Any]:
    """Return the expected page of these rows, with this many rows before it."""
    behind = sorted_by(sort, rows)[start:]
    data = behind[skip : skip + limit]
    more = bool(data) and len(behind) > skip + limit
    return Page.of(data, count=len(rows), next=position(data[-1], sort) if more else None)


@pytest.mark.rule("Counts")
async def test_list_of_items_fits_all_conditions(
    backend: Backend, clock: ManualClock, owner: User, other_user: User
) -> None:
    """Filters and owner combine in every sort and with pages; the count is of the whole list."""
    clock.now = START
    items = [
        await backend.items.add(
            NewItem(
                title=("Note A", "note a", "Note G")[n % 3], description=(None, "Part", "no")[n // 2 % 3]
            ),
            owner_id=(owner, other_user, owner)[n % 5 % 3].id,
        )
        for n in range(18)
    ]
    times = (START + 4 * MILLISECOND, START + 14 * MILLISECOND)
    combinations = product(
        (None, "Note A"), (None, "A"), (None, times[0]), (None, times[1]), (None, owner.id)
    )
    for number, (title, q, after, before, owner_id) in enumerate(combinations):
        where = ItemFilter(title=title, q=q, created_after=after, created_before=before)
        fitting: list[Row] = [
            item for item in items if _fits(item, where.model_dump()) and owner_id in (None, item.owner_id)
        ]
        for sort in ITEM_SORTS[number % 3 :: 2]:
            page = await backend.items.list(where=where, owner_id=owner_id, sort=sort)
            assert page == _expected(fitting, sort), (where, sort)
        page = await backend.items.list(
            where=where,
            owner_id=owner_id,
            sort="title",
            skip=1,
            limit=1,
            after=position(sorted_by("title", fitting)[0], "title"),
        )
        assert page == _expected(fitting, "title", skip=1, limit=1, start=1), where


@pytest.mark.rule("Counts")
async def test_list_of_users_fits_all_conditions(backend: Backend, clock: ManualClock) -> None:
    """Filters combine in every sort and with pages; the count is of the whole list."""
    clock.now = START
    users = [
        await backend.users.add(
            new_user(n * 7 % 12).model_copy(update={"is_active": n % 3 > 0, "is_superuser": n % 2 > 0})
        )
        for n in range(12)
    ]
    times = (START + 2 * MILLISECOND, START + 10 * MILLISECOND)
    for active, after, before in product((None, True, False), (None, times[0]), (None, times[1])):
        where = UserFilter(is_active=active, created_after=after, created_before=before)
        fitting: list[Row] = [user for user in users if _fits(user, where.model_dump())]
        assert fitting
        for sort in USER_SORTS:
            page = await backend.users.list(where=where, sort=sort)
            assert page == _expected(fitting, sort), (where, sort)
            page = await backend.users.list(
                where=where,
                sort=sort,
                skip=1,
                limit=1,
                after=position(sorted_by(sort, fitting)[0], sort),
            )
            assert page == _expected(fitting, sort, skip=1, limit=1, start=1), (where, sort)


async def test_walk_through_a_filtered_list_meets_what_fits(backend: Backend, owner: User) -> None:
    """`next` stays within the filter, and is None when no matching row follows."""
    items: list[Row] = [
        await backend.items.add(NewItem(title=f"{'xy'[n % 2]}{n * 5 % 7}"), owner_id=owner.id)
        for n in range(14)
    ]
    for sort in ITEM_SORTS:
        met: list[Item] = []
        page = await backend.items.list(where=ItemFilter(q="X"), sort=sort, limit=3)
        for _ in range(2):
            assert (page.count, len(page.data)) == (7, 3)
            met += page.data
            page = await backend.items.list(where=ItemFilter(q="X"), sort=sort, limit=3, after=page.next)
        assert (page.count, page.next) == (7, None)
        assert [*met, *page.data] == sorted_by(sort, items[::2])


@pytest.mark.rule("Counts")
async def test_list_without_rows_is_a_count(backend: Backend, owner: User) -> None:
    """`limit=0` only counts, `count=False` doesn't count, and a position doesn't change the count."""
    items = [await backend.items.add(new_item(n), owner_id=owner.id) for n in range(4)]
    where = ItemFilter(created_after=items[0].created_at)

    assert await backend.items.list(where=where, limit=0) == Page.of([], count=3, next=None)
    uncounted = await backend.items.list(where=where, count=False)
    assert uncounted == Page.of(items[:0:-1], count=None, next=None)
    rest = await backend.items.list(where=where, after=position(items[2]))
    assert rest == Page.of([items[1]], count=3, next=None)
    beyond = await backend.items.list(where=where, skip=3)
    assert beyond == Page.of([], count=3, next=None)


async def test_list_by_title_takes_the_whole_title_exactly(backend: Backend, owner: User) -> None:
    """A title matches exactly: no case folding, trimming, normalising or patterns."""
    titles = [
        "a",
        "A",
        "a ",
        " a",
        "aa",
        "\u00e9",
        "e\u0301",
        "%",
        "_",
        "a%",
        "^a$",
        "\uffff",
        "\ufffd",
        "a" * 255,
    ]
    items = [await backend.items.add(NewItem(title=title), owner_id=owner.id) for title in titles]

    for item in items:
        page = await backend.items.list(where=ItemFilter(title=item.title))
        assert page == Page.of([item], count=1, next=None), ascii(item.title)
    for title in ("", "aaa", "a\n", "\u00c9", "A ", "null", "$gt", "\ufffe"):
        page = await backend.items.list(where=ItemFilter(title=title))
        assert page == Page.of([], count=0, next=None), ascii(title)


async def test_list_by_conditions_that_exclude_each_other_is_empty(backend: Backend, owner: User) -> None:
    """Conditions are combined with AND. An unknown owner has no matching row."""
    item = await backend.items.add(new_item(), owner_id=owner.id)
    now = item.created_at

    nothing: Page[Item] = Page.of([], count=0, next=None)
    for where in (
        ItemFilter(title=item.title, q="nowhere"),
        ItemFilter(created_after=now + MILLISECOND, created_before=now - MILLISECOND),
        ItemFilter(created_after=now, created_before=now + MILLISECOND),
    ):
        assert await backend.items.list(where=where, owner_id=owner.id) == nothing, where
    for owner_id in (UNKNOWN_ID, "", "x"):
        assert await backend.items.list(where=ItemFilter(title=item.title), owner_id=owner_id) == nothing


@pytest.mark.parametrize("hours", [0, 5.5, -9.5, 14])
async def test_list_takes_times_as_exclusive_bounds(
    backend: Backend, clock: ManualClock, hours: float
) -> None:
    """Bounds are exclusive, in any time zone, and may have parts of a millisecond."""
    clock.now = START - MILLISECOND
    users = [await backend.users.add(new_user(n)) for n in range(3)]
    clock.now = START - MILLISECOND
    items = [await backend.items.add(new_item(n), owner_id=users[0].id) for n in range(3)]
    zone = timezone(timedelta(hours=hours))

    for offset, later, earlier in [
        (-2 * MILLISECOND, 0, 0),
        (-MILLISECOND - MICROSECOND, 0, 0),
        (-MILLISECOND, 1, 0),
        (-MILLISECOND + MICROSECOND, 1, 1),
        (-MICROSECOND, 1, 1),
        (0 * MILLISECOND, 2, 1),
        (MICROSECOND, 2, 2),
        (500 * MICROSECOND, 2, 2),
        (MILLISECOND - MICROSECOND, 2, 2),
        (MILLISECOND, 3, 2),
        (MILLISECOND + MICROSECOND, 3, 3),
    ]:
        bound = (START + offset).astimezone(zone)
        after = ItemFilter(created_after=bound), UserFilter(created_after=bound)
        before = ItemFilter(created_before=bound), UserFilter(created_before=bound)
        for (of_items, of_users), fitting in ((after, slice(later, None)), (before, slice(earlier))):
            assert await backend.items.list(where=of_items) == _expected(items[fitting], "-created_at"), (
                offset
            )
            assert await backend.users.list(where=of_users) == _expected(users[fitting], "-created_at"), (
                offset
            )


@pytest.mark.rule("Numbers")
async def test_list_takes_times_of_the_first_and_the_last_year(
    backend: Backend, clock: ManualClock
) -> None:
    """Bounds in the first and last year compare correctly."""
    clock.stop()
    users = []
    for n, time in enumerate([*EDGES, START]):
        clock.now = time
        users.append(await backend.users.add(new_user(n)))
    first, last, middle = users

    for where, fitting in [
        (UserFilter(created_after=EDGES[0]), [middle, last]),
        (UserFilter(created_before=EDGES[0]), []),
        (UserFilter(created_before=EDGES[0] + MICROSECOND), [first]),
        (UserFilter(created_after=EDGES[1]), []),
        (UserFilter(created_after=EDGES[1] - MICROSECOND), [last]),
        (UserFilter(created_before=EDGES[1]), [first, middle]),
        (UserFilter(created_after=EDGES[0], created_before=EDGES[1]), [middle]),
        (UserFilter(created_after=EDGES[1], created_before=EDGES[0]), []),
    ]:
        for sort in USER_SORTS:
            page = await backend.users.list(where=where, sort=sort)
            assert page == _expected(fitting, sort), (where, sort)


async def test_filter_follows_updates(backend: Backend, owner: User) -> None:
    """A row moves between filtered lists when it is updated."""
    item = await backend.items.add(NewItem(title="old"), owner_id=owner.id)

    retitled = await backend.items.update(item.id, ItemChanges(title="new"))
    barred = await backend.users.update(owner.id, UserChanges(is_active=False))

    assert (await backend.items.list(where=ItemFilter(title="old"))).data == []
    assert (await backend.items.list(where=ItemFilter(title="new"))).data == [retitled]
    assert (await backend.users.list(where=UserFilter(is_active=True))).data == []
    assert (await backend.users.list(where=UserFilter(is_active=False))).data == [barred]
