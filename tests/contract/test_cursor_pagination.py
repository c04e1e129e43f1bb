"""Walks through a list by `next`: each row once, whatever changes on the way."""

from __future__ import annotations

from datetime import timedelta

import pytest

from backends.models import Page, Position
from eitherdb_contract.clock import ManualClock

from .conftest import ManualIds
from .list_kinds import Row, Shelf, position, sorted_by
from .samples import hex_id

pytestmark = pytest.mark.rule("Pages")

SHUFFLED = [5, 1, 9, 3, 7, 2, 8, 4, 10, 6, 11]


async def _walk(shelf: Shelf, sort: str, *, limit: int) -> list[Row]:
    """Follow `next` to the end; every page but the last must be full."""
    rows: list[Row] = []
    after: Position | None = None
    for _ in range(2 * len(SHUFFLED)):
        page = await shelf.list(sort=sort, limit=limit, after=after, count=False)
        rows += page.data
        if page.next is None:
            return rows
        assert len(page.data) == limit
        assert page.next == position(page.data[-1], sort)
        after = page.next
    pytest.fail("the walk did not end")


async def _fill(shelf: Shelf, clock: ManualClock, ids: ManualIds) -> list[Row]:
    """Store rows in no order, most of them at equal times and with equal titles."""
    clock.stop()
    start = clock.now
    ids.upcoming = [hex_id(n * 100) for n in SHUFFLED]
    rows = []
    for n in range(len(SHUFFLED)):
        clock.now = start + timedelta(milliseconds=n // 4)
        rows.append(await shelf.add(n, "bca"[n % 3]))
    return rows


async def test_walk_meets_each_row_once(shelf: Shelf, clock: ManualClock, ids: ManualIds) -> None:
    """Pages of any size, put together, are the list, also where keys are equal over many pages."""
    rows = await _fill(shelf, clock, ids)

    for sort in shelf.sorts:
        for limit in (1, 4, 10, 11):
            assert await _walk(shelf, sort, limit=limit) == sorted_by(sort, rows), (sort, limit)


async def test_walk_goes_on_behind_a_deleted_row(shelf: Shelf, clock: ManualClock, ids: ManualIds) -> None:
    """The row that `next` points behind may be deleted before the next page is asked for."""
    left = await _fill(shelf, clock, ids)
    for sort in shelf.sorts:
        rows = sorted_by(sort, left)
        first = await shelf.list(sort=sort, limit=4)
        assert first.next == position(rows[3], sort)

        if await shelf.remove(rows[3]):
            left.remove(rows[3])

        rest = await shelf.list(sort=sort, after=first.next)
        assert rest == Page.of(rows[4:], count=len(left), next=None), sort


async def test_walk_meets_surviving_rows_once_while_others_change(
    shelf: Shelf, clock: ManualClock, ids: ManualIds
) -> None:
    """Rows that stay are met once, in order, while others come, go and move to another place."""
    await _fill(shelf, clock, ids)
    start = clock.now
    for turn, sort in enumerate(shelf.sorts):
        rows: list[Row] = (await shelf.list(sort=sort)).data
        survivors = list(rows)
        met: list[Row] = []
        after: Position | None = None
        for number in range(2 * len(rows)):
            page = await shelf.list(sort=sort, limit=2, after=after)
            met += page.data
            after = page.next
            if after is None:
                break
            clock.now = start + timedelta(milliseconds=number % 3 - 2)
            ids.upcoming = [hex_id(number * 7 % 12 * 1000 + 10 * turn + number)]
            await shelf.add(100 * (turn + 1) + number, "acb"[number % 3])
            victim, moved = rows[number * 5 % len(rows)], rows[(number * 5 + 1) % len(rows)]
            if number % 2 == 0 and victim in survivors and await shelf.remove(victim):
                survivors.remove(victim)
            if number % 2 and moved in survivors and await shelf.rename(moved, "0z"[number // 2 % 2]):
                survivors.remove(moved)

        assert after is None, "the walk did not end"
        assert len(survivors) >= 4
        assert [row for row in met if row in survivors] == survivors, sort


async def test_list_next_is_none_when_the_rest_was_deleted(shelf: Shelf) -> None:
    """A page after the last row is empty and the end."""
    older, newer = [await shelf.add(n) for n in range(2)]
    first = await shelf.list(limit=1)
    assert first == Page.of([newer], count=2, next=position(newer))

    removed = await shelf.remove(older)

    rest = [] if removed else [older]
    assert await shelf.list(limit=1, after=first.next) == Page.of(rest, count=2 - removed, next=None)


@pytest.mark.rule("Visibility")
async def test_list_sees_what_was_written_before_it(shelf: Shelf) -> None:
    """Each write is in the next page and in its count."""
    rows: list[Row] = []
    for n in range(4):
        rows.insert(0, await shelf.add(n))
        assert await shelf.list(limit=2) == Page.of(
            rows[:2], count=n + 1, next=position(rows[1]) if n > 1 else None
        )
    if await shelf.remove(rows[1]):
        del rows[1]
    assert await shelf.list() == Page.of(rows, count=len(rows), next=None)
