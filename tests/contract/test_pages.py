"""Lists: order, skip, limit, count and `next`, on each kind of list."""

from __future__ import annotations

from datetime import timedelta

import pytest

from backends.models import Item, Page, Position, User
from backends.protocols import MAX_LIMIT, Backend
from eitherdb_contract.clock import ManualClock

from .conftest import ManualIds
from .expectations import race
from .list_kinds import Row, StoredList, order, position
from .samples import hex_id, new_item

pytestmark = pytest.mark.rule("Pages")

# For a list of five rows: none, one, all but one, all, and the maximum.
SKIPS = [0, 1, 4, 5, 2**31 - 1]
LIMITS = [0, 1, 4, 5, MAX_LIMIT]

# Out of order, with bytes that sort differently as signed bytes or as text.
SHUFFLED_IDS = [
    "7f" + "00" * 11,
    "00" * 12,
    "80" + "00" * 11,
    "ff" * 12,
    hex_id(1),
    "0a" + "00" * 11,
    hex_id(256),
    "9f" + "ff" * 11,
    hex_id(255),
    "a0" + "00" * 11,
]


@pytest.fixture
async def five(stored_list: StoredList) -> list[Row]:
    """Return five rows of the list, newest first."""
    return [await stored_list.add(n) for n in range(5)][::-1]


def _slice(rows: list[Row], *, skip: int, limit: int) -> list[Row]:
    return rows[skip : skip + limit]


def _next(rows: list[Row], *, skip: int, limit: int) -> Position | None:
    """Return the position after this slice; None if it is empty or reaches the end."""
    more = limit > 0 and len(rows) > skip + limit
    return position(rows[skip + limit - 1]) if more else None


@pytest.mark.rule("Counts")
async def test_list_of_no_rows_is_empty(stored_list: StoredList, clock: ManualClock) -> None:
    """An empty list has an empty page for every limit and position."""
    for skip in SKIPS:
        for limit in LIMITS:
            for after in (None, Position(clock.now, hex_id(1))):
                page = await stored_list.list(skip=skip, limit=limit, after=after)
                assert page == Page.of([], count=0, next=None)


@pytest.mark.rule("Order")
async def test_list_is_newest_first(stored_list: StoredList, five: list[Row]) -> None:
    """The default is the newest rows, with the count of all."""
    assert await stored_list.list() == Page.of(five, count=5, next=None)


@pytest.mark.rule("Order")
async def test_list_orders_by_time_before_id(stored_list: StoredList, ids: ManualIds) -> None:
    """The time decides before the id."""
    ids.upcoming = list(SHUFFLED_IDS)
    rows = [await stored_list.add(n) for n in range(len(SHUFFLED_IDS))]

    assert await stored_list.list() == Page.of(rows[::-1], count=len(rows), next=None)


@pytest.mark.rule("Order")
async def test_list_orders_by_stored_time_not_by_insertion(
    stored_list: StoredList, clock: ManualClock
) -> None:
    """A row that is stored later with an earlier time is older."""
    start = clock.now
    rows = []
    for n, milliseconds in enumerate([5, 1, 4, 2, 3]):
        clock.now = start + timedelta(milliseconds=milliseconds)
        rows.append(await stored_list.add(n))

    newest_first = sorted(rows, key=lambda row: row.created_at, reverse=True)
    assert await stored_list.list() == Page.of(newest_first, count=5, next=None)


@pytest.mark.rule("Order")
async def test_list_orders_equal_times_by_id(
    stored_list: StoredList, clock: ManualClock, ids: ManualIds
) -> None:
    """Rows with equal times are sorted by the bytes of their ids, descending, in any order of insertion."""
    clock.stop()
    ids.upcoming = list(SHUFFLED_IDS)
    rows = [await stored_list.add(n) for n in range(len(SHUFFLED_IDS))]

    page = await stored_list.list()

    assert [row.id for row in page.data] == sorted(SHUFFLED_IDS, reverse=True)
    assert page == Page.of(sorted(rows, key=order, reverse=True), count=len(rows), next=None)


@pytest.mark.rule("Counts")
async def test_list_takes_skip_and_limit(stored_list: StoredList, five: list[Row]) -> None:
    """A page is a slice of the list; `next` is set if a row follows; the count is of the whole list."""
    for skip in SKIPS:
        for limit in LIMITS:
            expected = Page.of(
                _slice(five, skip=skip, limit=limit), count=5, next=_next(five, skip=skip, limit=limit)
            )
            assert await stored_list.list(skip=skip, limit=limit) == expected, (skip, limit)


@pytest.mark.rule("Counts")
async def test_list_without_count_differs_in_nothing_else(stored_list: StoredList, five: list[Row]) -> None:
    """`count=False` gives no count and the same page."""
    for skip in SKIPS:
        for limit in LIMITS:
            expected = Page.of(
                _slice(five, skip=skip, limit=limit),
                count=None,
                next=_next(five, skip=skip, limit=limit),
            )
            assert await stored_list.list(skip=skip, limit=limit, count=False) == expected, (skip, limit)


@pytest.mark.parametrize("count", [True, False])
async def test_list_after_a_row_begins_behind_it(
    stored_list: StoredList,
    five: list[Row],
    count: bool,  # noqa: FBT001
) -> None:
    """`after` skips the row and all before it. Skip and limit start there; the count doesn't change."""
    for index, row in enumerate(five):
        behind = five[index + 1 :]
        for skip in (0, 1, 2**31 - 1):
            for limit in (0, 2, 5):
                page = await stored_list.list(skip=skip, limit=limit, after=position(row), count=count)
                assert page == Page.of(
                    _slice(behind, skip=skip, limit=limit),
                    count=5 if count else None,
                    next=_next(behind, skip=skip, limit=limit),
                ), (index, skip, limit)


async def test_list_after_a_place_without_row_begins_behind_it(
    stored_list: StoredList, clock: ManualClock, ids: ManualIds
) -> None:
    """A position is valid without a row at it."""
    clock.stop()
    ids.upcoming = [hex_id(10), hex_id(30), hex_id(20)]
    ten, thirty, twenty = [await stored_list.add(n) for n in range(3)]
    now, moment = ten.created_at, timedelta(milliseconds=1)

    for after, expected in [
        (Position(now + moment, hex_id(0)), [thirty, twenty, ten]),
        (Position(now, "f" * 24), [thirty, twenty, ten]),
        (Position(now, hex_id(31)), [thirty, twenty, ten]),
        (Position(now, hex_id(29)), [twenty, ten]),
        (Position(now, hex_id(11)), [ten]),
        (Position(now, hex_id(9)), []),
        (Position(now, hex_id(0)), []),
        (Position(now - moment, "f" * 24), []),
    ]:
        assert await stored_list.list(after=after) == Page.of(expected, count=3, next=None), after


async def test_list_limits_to_a_hundred_by_default(backend: Backend, owner: User) -> None:
    """The default limit is 100 rows; the maximum limit returns all."""
    items, errors = await race(backend.items.add(new_item(n), owner_id=owner.id) for n in range(101))
    assert errors == []
    newest_first: list[Item] = sorted(items, key=order, reverse=True)

    for owner_id in (None, owner.id):
        page = await backend.items.list(owner_id=owner_id)
        assert page == Page.of(newest_first[:100], count=101, next=position(newest_first[99]))
        rest = await backend.items.list(owner_id=owner_id, after=page.next)
        assert rest == Page.of(newest_first[100:], count=101, next=None)
        whole = await backend.items.list(owner_id=owner_id, limit=MAX_LIMIT)
        assert whole == Page.of(newest_first, count=101, next=None)
