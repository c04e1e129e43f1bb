"""Walks through a list by `next`: each row once, also during concurrent changes."""

from __future__ import annotations

from datetime import timedelta

import pytest

from backends.models import Page, Position
from eitherdb_contract.clock import ManualClock

from .conftest import ManualIds
from .list_kinds import Row, StoredList, position, sorted_by
from .samples import hex_id

pytestmark = pytest.mark.rule("Pages")

SHUFFLED = [5, 1, 9, 3, 7, 2, 8, 4, 10, 6, 11]


async def _walk(stored_list: StoredList, sort: str, *, limit: int) -> list[Row]:
    """Follow `next` to the end. Every page but the last must be full."""
    rows: list[Row] = []
    after: Position | None = None
    for _ in range(2 * len(SHUFFLED)):
        page = await stored_list.list(sort=sort, limit=limit, after=after, count=False)
        rows += page.data
        if page.next is None:
            return rows
        assert len(page.data) == limit
        assert page.next == position(page.data[-1], sort)
        after = page.next
    pytest.fail("the walk did not end")


async def _fill(stored_list: StoredList, clock: ManualClock, ids: ManualIds) -> list[Row]:
    """Store rows out of order, most of them with equal times and titles."""
    clock.stop()
    start = clock.now
    ids.upcoming = [hex_id(n * 100) for n in SHUFFLED]
    rows = []
    for n in range(len(SHUFFLED)):
        clock.now = start + timedelta(milliseconds=n // 4)
        rows.append(await stored_list.add(n, "bca"[n % 3]))
    return rows


async def test_walk_meets_each_row_once(
    stored_list: StoredList, clock: ManualClock, ids: ManualIds
) -> None:
    """The pages of any size, joined, equal the list, also where keys are equal over many pages."""
    rows = await _fill(stored_list, clock, ids)

    for sort in stored_list.sorts:
        for limit in (1, 4, 10, 11):
            assert await _walk(stored_list, sort, limit=limit) == sorted_by(sort, rows), (sort, limit)


async def test_walk_goes_on_behind_a_deleted_row(
    stored_list: StoredList, clock: ManualClock, ids: ManualIds
) -> None:
    """The walk continues if the row before `next` is deleted."""
    left = await _fill(stored_list, clock, ids)
    for sort in stored_list.sorts:
        rows = sorted_by(sort, left)
        first = await stored_list.list(sort=sort, limit=4)
        assert first.next == position(rows[3], sort)

        if await stored_list.remove(rows[3]):
            left.remove(rows[3])

        rest = await stored_list.list(sort=sort, after=first.next)
        assert rest == Page.of(rows[4:], count=len(left), next=None), sort


async def test_walk_meets_surviving_rows_once_while_others_change(
    stored_list: StoredList, clock: ManualClock, ids: ManualIds
) -> None:
    """Rows that stay are returned once and in order while others are added, deleted and moved."""
    await _fill(stored_list, clock, ids)
    start = clock.now
    for turn, sort in enumerate(stored_list.sorts):
        rows: list[Row] = (await stored_list.list(sort=sort)).data
        survivors = list(rows)
        met: list[Row] = []
        after: Position | None = None
        for number in range(2 * len(rows)):
            page = await stored_list.list(sort=sort, limit=2, after=after)
            met += page.data
            after = page.next
            if after is None:
                break
            clock.now = start + timedelta(milliseconds=number % 3 - 2)
            ids.upcoming = [hex_id(number * 7 % 12 * 1000 + 10 * turn + number)]
            await stored_list.add(100 * (turn + 1) + number, "acb"[number % 3])
            victim, moved = rows[number * 5 % len(rows)], rows[(number * 5 + 1) % len(rows)]
            if number % 2 == 0 and victim in survivors and await stored_list.remove(victim):
                survivors.remove(victim)
            if number % 2 and moved in survivors and await stored_list.rename(moved, "0z"[number // 2 % 2]):
                survivors.remove(moved)

        assert after is None, "the walk did not end"
        assert len(survivors) >= 4
        assert [row for row in met if row in survivors] == survivors, sort


async def test_list_next_is_none_when_the_rest_was_deleted(stored_list: StoredList) -> None:
    """A page after the last row is empty and has no `next`."""
    older, newer = [await stored_list.add(n) for n in range(2)]
    first = await stored_list.list(limit=1)
    assert first == Page.of([newer], count=2, next=position(newer))

    removed = await stored_list.remove(older)

    rest = [] if removed else [older]
    assert await stored_list.list(limit=1, after=first.next) == Page.of(rest, count=2 - removed, next=None)


@pytest.mark.rule("Visibility")
async def test_list_sees_what_was_written_before_it(stored_list: StoredList) -> None:
    """Each write is visible in the next page and its count."""
    rows: list[Row] = []
    for n in range(4):
        rows.insert(0, await stored_list.add(n))
        assert await stored_list.list(limit=2) == Page.of(
            rows[:2], count=n + 1, next=position(rows[1]) if n > 1 else None
        )
    if await stored_list.remove(rows[1]):
        del rows[1]
    assert await stored_list.list() == Page.of(rows, count=len(rows), next=None)
