"""Time: `created_at` comes from the clock, in milliseconds and UTC, for every year."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from backends.models import ItemChanges, Page, User, UserChanges
from backends.protocols import Backend
from eitherdb_contract.clock import ManualClock

from .conftest import Opener
from .expectations import all_rows
from .list_kinds import StoredList, position
from .samples import new_item, new_user

pytestmark = pytest.mark.rule("Time")

MILLISECOND = timedelta(milliseconds=1)
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

TIMES = [
    datetime(1, 1, 1, tzinfo=UTC),
    datetime(1, 1, 1, tzinfo=UTC) + MILLISECOND,
    datetime(1582, 10, 10, 12, tzinfo=UTC),
    datetime(1899, 12, 31, 23, 59, 59, 999_000, tzinfo=UTC),
    datetime(1901, 12, 13, 20, 45, 51, 999_000, tzinfo=UTC),
    datetime(1969, 12, 31, 23, 59, 59, tzinfo=UTC),
    EPOCH - MILLISECOND,
    EPOCH,
    EPOCH + MILLISECOND,
    datetime(2000, 2, 29, 0, 0, 0, 1_000, tzinfo=UTC),
    datetime(2024, 3, 31, 1, 30, tzinfo=UTC),
    datetime(2026, 11, 22, 16, 25, 25, 120_000, tzinfo=UTC),
    datetime(2026, 11, 22, 16, 25, 25, 999_000, tzinfo=UTC),
    datetime(2038, 1, 19, 3, 14, 7, 999_000, tzinfo=UTC),
    datetime(2038, 1, 19, 3, 14, 8, tzinfo=UTC),
    datetime(2106, 2, 7, 6, 28, 16, tzinfo=UTC),
    datetime(2262, 4, 11, 23, 47, 16, 855_000, tzinfo=UTC),
    datetime(9999, 12, 31, 23, 59, 59, 999_000, tzinfo=UTC),
]


def _is_aware_utc(*times: datetime) -> bool:
    return all(time.tzinfo is not None and time.utcoffset() == timedelta(0) for time in times)


async def test_created_at_is_aware_utc_from_every_method(backend: Backend, clock: ManualClock) -> None:
    """Each method that returns a row or a position returns the same time zone-aware time."""
    times = [clock.now + n * MILLISECOND for n in range(3)]
    user = await backend.users.add(new_user())
    item = await backend.items.add(new_item(1), owner_id=user.id)
    newer = await backend.items.add(new_item(2), owner_id=user.id)
    found = await backend.users.find_by_email(user.email)
    assert found is not None
    page = await backend.items.list(limit=1)
    assert page.next is not None

    of_user = [
        user,
        found,
        await backend.users.get(user.id),
        await backend.users.update(user.id, UserChanges()),
        await backend.users.update(user.id, UserChanges(full_name="x")),
        *(await backend.users.list()).data,
    ]
    of_item = [
        item,
        await backend.items.get(item.id),
        await backend.items.update(item.id, ItemChanges()),
        await backend.items.update(item.id, ItemChanges(title="x")),
        (await backend.items.list()).data[1],
        (await backend.items.list(owner_id=user.id)).data[1],
    ]

    assert [row.created_at for row in of_user] == [times[0]] * 6
    assert [row.created_at for row in of_item] == [times[1]] * 6
    assert [newer.created_at, page.next.key] == [times[2]] * 2
    every = [row.created_at for row in of_user] + [row.created_at for row in of_item]
    assert isinstance(page.next.key, datetime)
    assert _is_aware_utc(*every, newer.created_at, page.next.key)


@pytest.mark.rule("Numbers")
async def test_created_at_of_any_year_is_kept(backend: Backend, clock: ManualClock) -> None:
    """A time is kept to the millisecond, also outside the range of 32 bits."""
    clock.stop()
    for n, time in enumerate(TIMES):
        clock.now = time
        user = await backend.users.add(new_user(n))
        item = await backend.items.add(new_item(n), owner_id=user.id)

        assert (user.created_at, item.created_at) == (time, time)
        stored_user, stored_item = await backend.users.get(user.id), await backend.items.get(item.id)
        assert (stored_user, stored_item) == (user, item)
        assert _is_aware_utc(stored_user.created_at, stored_item.created_at)


async def test_list_orders_times_of_all_years(stored_list: StoredList, clock: ManualClock) -> None:
    """Times are sorted across the epoch and across numbers of digits, and so are walks by `next`."""
    clock.stop()
    rows = []
    for n, time in enumerate(TIMES[::2] + TIMES[1::2]):
        clock.now = time
        rows.append(await stored_list.add(n))
    newest_first = sorted(rows, key=lambda row: row.created_at, reverse=True)

    assert [row.created_at for row in newest_first] == TIMES[::-1]
    assert await stored_list.list() == Page.of(newest_first, count=len(rows), next=None)
    for index, row in enumerate(newest_first):
        page = await stored_list.list(after=position(row), limit=1, count=False)
        assert page.data == newest_first[index + 1 : index + 2]


async def test_update_keeps_created_at(backend: Backend, clock: ManualClock, owner: User) -> None:
    """An update keeps the time of creation."""
    item = await backend.items.add(new_item(), owner_id=owner.id)
    clock.now += timedelta(days=1)

    updated_user = await backend.users.update(owner.id, UserChanges(full_name="x"))
    updated_item = await backend.items.update(item.id, ItemChanges(title="x"))

    assert (updated_user.created_at, updated_item.created_at) == (owner.created_at, item.created_at)
    assert await all_rows(backend) == ([updated_user], [updated_item])


async def test_default_clock_gives_whole_milliseconds(open_another: Opener) -> None:
    """The default clock is the machine's, truncated to milliseconds."""
    another = await open_another()
    before = datetime.now(UTC) - MILLISECOND

    users = [await another.users.add(new_user(n)) for n in range(5)]
    items = [await another.items.add(new_item(n), owner_id=users[0].id) for n in range(5)]

    times = [user.created_at for user in users] + [item.created_at for item in items]
    assert times == sorted(times)
    assert before < times[0] <= times[-1] <= datetime.now(UTC)
    assert [time.microsecond % 1000 for time in times] == [0] * 10
    assert _is_aware_utc(*times)
    assert [await another.users.get(user.id) for user in users] == users
    assert [await another.items.get(item.id) for item in items] == items
