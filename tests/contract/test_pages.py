"""Lists: order, skip, limit, count and `next`, on each of the lists that there are."""

from __future__ import annotations

from datetime import timedelta

import pytest

from backends.models import Item, Page, Position, User
from backends.protocols import MAX_LIMIT, Backend
from eitherdb_contract.clock import ManualClock

from .conftest import ManualIds
from .expectations import race
from .list_kinds import Row, Shelf, order, position
from .samples import hex_id, new_item

pytestmark = pytest.mark.rule("Pages")

# Of a list of five: none, one, all but one, all, and as many as can be asked for.
SKIPS = [0, 1, 4, 5, 2**31 - 1]
LIMITS = [0, 1, 4, 5, MAX_LIMIT]

# In no order, and with bytes that compare differently when they are taken for signed or for text.
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
async def five(shelf: Shelf) -> list[Row]:
    """Return five rows of the list, newest first."""
    return [await shelf.add(n) for n in range(5)][::-1]


def _slice(rows: list[Row], *, skip: int, limit: int) -> list[Row]:
    return rows[skip : skip + limit]


def _next(rows: list[Row], *, skip: int, limit: int) -> Position | None:
    """Return where the page after this slice begins; None if it reaches the end or holds nothing."""
    more = limit > 0 and len(rows) > skip + limit
    return position(rows[skip + limit - 1]) if more else None


@pytest.mark.rule("Counts")
async def test_list_of_no_rows_is_empty(shelf: Shelf, clock: ManualClock) -> None:
    """An empty list has a page too, for every limit and place."""
    for skip in SKIPS:
        for limit in LIMITS:
            for after in (None, Position(clock.now, hex_id(1))):
                page = await shelf.list(skip=skip, limit=limit, after=after)
                assert page == Page.of([], count=0, next=None)


@pytest.mark.rule("Order")
async def test_list_is_newest_first(shelf: Shelf, five: list[Row]) -> None:
    """Without arguments it is the newest rows, all counted."""
    assert await shelf.list() == Page.of(five, count=5, next=None)


@pytest.mark.rule("Order")
async def test_list_orders_by_time_before_id(shelf: Shelf, ids: ManualIds) -> None:
    """The time decides, however the ids stand."""
    ids.upcoming = list(SHUFFLED_IDS)
    rows = [await shelf.add(n) for n in range(len(SHUFFLED_IDS))]

    assert await shelf.list() == Page.of(rows[::-1], count=len(rows), next=None)


@pytest.mark.rule("Order")
async def test_list_orders_by_stored_time_not_by_insertion(shelf: Shelf, clock: ManualClock) -> None:
    """A row that was stored later with an earlier time is older."""
    start = clock.now
    rows = []
    for n, milliseconds in enumerate([5, 1, 4, 2, 3]):
        clock.now = start + timedelta(milliseconds=milliseconds)
        rows.append(await shelf.add(n))

    newest_first = sorted(rows, key=lambda row: row.created_at, reverse=True)
    assert await shelf.list() == Page.of(newest_first, count=5, next=None)


@pytest.mark.rule("Order")
async def test_list_orders_equal_times_by_id(shelf: Shelf, clock: ManualClock, ids: ManualIds) -> None:
    """Among equal times the greater id comes first, by its bytes, whatever the order of insertion."""
    clock.stop()
    ids.upcoming = list(SHUFFLED_IDS)
    rows = [await shelf.add(n) for n in range(len(SHUFFLED_IDS))]

    page = await shelf.list()

    assert [row.id for row in page.data] == sorted(SHUFFLED_IDS, reverse=True)
    assert page == Page.of(sorted(rows, key=order, reverse=True), count=len(rows), next=None)


@pytest.mark.rule("Counts")
async def test_list_takes_skip_and_limit(shelf: Shelf, five: list[Row]) -> None:
    """A page is the slice of the list; `next` is set exactly if a row follows; the count is the whole."""
    for skip in SKIPS:
        for limit in LIMITS:
            expected = Page.of(
                _slice(five, skip=skip, limit=limit), count=5, next=_next(five, skip=skip, limit=limit)
            )
            assert await shelf.list(skip=skip, limit=limit) == expected, (skip, limit)


@pytest.mark.rule("Counts")
async def test_list_without_count_differs_in_nothing_else(shelf: Shelf, five: list[Row]) -> None:
    """`count=False` gives None for the count and the same page."""
    for skip in SKIPS:
        for limit in LIMITS:
            expected = Page.of(
                _slice(five, skip=skip, limit=limit),
                count=None,
                next=_next(five, skip=skip, limit=limit),
            )
            assert await shelf.list(skip=skip, limit=limit, count=False) == expected, (skip, limit)


@pytest.mark.parametrize("count", [True, False])
async def test_list_after_a_row_begins_behind_it(shelf: Shelf, five: list[Row], count: bool) -> None:  # noqa: FBT001
    """`after` passes over the row and all before it; skip and limit count from there, count does not."""
    for index, row in enumerate(five):
        behind = five[index + 1 :]
        for skip in (0, 1, 2**31 - 1):
            for limit in (0, 2, 5):
                page = await shelf.list(skip=skip, limit=limit, after=position(row), count=count)
                assert page == Page.of(
                    _slice(behind, skip=skip, limit=limit),
                    count=5 if count else None,
                    next=_next(behind, skip=skip, limit=limit),
                ), (index, skip, limit)


async def test_list_after_a_place_without_row_begins_behind_it(
    shelf: Shelf, clock: ManualClock, ids: ManualIds
) -> None:
    """A position is a place in the order, whether or not a row ever stood there."""
    clock.stop()
    ids.upcoming = [hex_id(10), hex_id(30), hex_id(20)]
    ten, thirty, twenty = [await shelf.add(n) for n in range(3)]
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
        assert await shelf.list(after=after) == Page.of(expected, count=3, next=None), after


async def test_list_limits_to_a_hundred_by_default(backend: Backend, owner: User) -> None:
    """Without a limit a page has at most 100 rows; the greatest limit takes all."""
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
