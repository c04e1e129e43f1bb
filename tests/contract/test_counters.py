"""Counters: concurrent additions, expiry by the clock, and keys."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

import pytest

from backends.protocols import Backend, Count
from eitherdb_contract.clock import ManualClock

from .conftest import Opener
from .expectations import all_rows, race

pytestmark = pytest.mark.rule("Counters")

MILLISECOND = timedelta(milliseconds=1)
MINUTE = timedelta(minutes=1)

KEYS = [
    *(
        "a",
        "A",
        "aa",
        "a ",
        " a",
        " ",
        "\u00e9",
        "e\u0301",
        "\u00df",
        "ss",
        "\u0131",
        "i",
        "%",
        "_",
        "a%",
        "*",
    ),
    *(
        "'",
        '"',
        "\\",
        "$gt",
        "$a",
        "a.b",
        ".",
        "{}",
        '{"$gt": ""}',
        "null",
        "0",
        "1",
        "01",
        "-1",
        "\n",
        "\t",
    ),
    *("\u200b", "\ufeff", "\ufffd", "\ufffe", "\uffff", "\U00010000", "\U0010ffff", "203.0.113.5/login"),
    *(
        "a" * 254,
        "a" * 255,
        "\U0010ffff" * 255,
        "\u00e9" * 255,
        "0123456789abcdef01234567",
        ":",
        "a:b",
        "/",
    ),
]


@dataclass(frozen=True)
class Another:
    """A backend with its own clock."""

    backend: Backend
    clock: ManualClock


@pytest.fixture(autouse=True)
def at(clock: ManualClock) -> datetime:
    """Set the clock to the far future: some servers remove counters that have expired by their clock."""
    clock.now = datetime(2526, 11, 22, 16, 25, 25, 123_000, tzinfo=UTC)
    clock.stop()
    return clock.now


async def test_add_begins_a_counter(backend: Backend, at: datetime) -> None:
    """A new counter has the amount and expires after the given number of seconds."""
    assert await backend.counters.get("a") is None

    assert await backend.counters.add("a", 3, lasts_seconds=60) == Count(3, at + MINUTE)
    assert await backend.counters.get("a") == Count(3, at + MINUTE)


async def test_add_to_a_running_counter_keeps_its_end(
    backend: Backend, clock: ManualClock, at: datetime
) -> None:
    """An addition to a running counter keeps the expiry of the first addition."""
    await backend.counters.add("a", 1, lasts_seconds=60)

    for n, lasts_seconds in enumerate([1, 60, 3600, 0]):
        clock.now += MILLISECOND
        count = await backend.counters.add("a", 10, lasts_seconds=lasts_seconds)
        assert count == await backend.counters.get("a") == Count(11 + 10 * n, at + MINUTE)


async def test_counter_says_how_much_time_remains(
    backend: Backend, clock: ManualClock, at: datetime
) -> None:
    """The remaining time is measured by the backend's clock, for every caller."""
    assert (await backend.counters.add("a", 1, lasts_seconds=60)).remaining == MINUTE

    clock.now = at + timedelta(seconds=20)
    count = await backend.counters.get("a")
    assert count is not None
    assert count.remaining == timedelta(seconds=40)
    assert (await backend.counters.add("a", 1, lasts_seconds=60)).remaining == timedelta(seconds=40)
    assert (await backend.counters.add("a", 1, lasts_seconds=3600)).remaining == timedelta(seconds=40)


async def test_add_takes_any_amount(backend: Backend, at: datetime) -> None:
    """Amounts and sums may be 0, negative, and beyond 32 bits."""
    value = 0
    for amount in (0, 5, -7, 0, -(2**40), 2**62, -(2**62), 2**40, 2, 2**31, -(2**31) - 1, 1):
        value += amount
        count = await backend.counters.add("a", amount, lasts_seconds=60)
        assert count == await backend.counters.get("a") == Count(value, at + MINUTE)

    assert value == 0
    assert await backend.counters.add("b", -3, lasts_seconds=60) == Count(-3, at + MINUTE)


async def test_counter_ends_at_its_end(backend: Backend, clock: ManualClock, at: datetime) -> None:
    """A counter exists until the last millisecond before its end and is gone at its end."""
    count = await backend.counters.add("a", 5, lasts_seconds=60)

    clock.now = at + MINUTE - MILLISECOND
    assert await backend.counters.get("a") == count
    assert await backend.counters.add("a", 1, lasts_seconds=60) == replace(count, value=6)
    for late in (MINUTE, MINUTE + MILLISECOND, timedelta(days=400)):
        clock.now = at + late
        assert await backend.counters.get("a") is None


@pytest.mark.parametrize("late", [timedelta(0), MILLISECOND, timedelta(days=400)])
async def test_add_after_the_end_begins_anew(
    backend: Backend, clock: ManualClock, at: datetime, late: timedelta
) -> None:
    """An addition after the end starts a new counter with a new value and a new end."""
    await backend.counters.add("a", 5, lasts_seconds=60)
    clock.now = at + MINUTE + late

    again = await backend.counters.add("a", 2, lasts_seconds=5)

    assert again == await backend.counters.get("a") == Count(2, clock.now + timedelta(seconds=5))
    assert await backend.counters.add("a", 2, lasts_seconds=60) == replace(again, value=4)


async def test_counter_that_lasts_no_time_has_ended(backend: Backend, at: datetime) -> None:
    """A counter with a lifetime of 0 has already expired: each addition starts a new one."""
    for amount in (3, 4):
        assert await backend.counters.add("a", amount, lasts_seconds=0) == Count(amount, at)
        assert await backend.counters.get("a") is None


async def test_delete_ends_one_counter(backend: Backend, clock: ManualClock, at: datetime) -> None:
    """A deleted counter is gone, the others stay, and the next addition starts a new one."""
    for key in ("a", "b"):
        await backend.counters.add(key, 5, lasts_seconds=60)
    clock.now += MILLISECOND

    await backend.counters.delete("a")

    assert await backend.counters.get("a") is None
    assert await backend.counters.get("b") == Count(5, at + MINUTE)
    again = await backend.counters.add("a", 1, lasts_seconds=60)
    assert again == Count(1, at + MINUTE + MILLISECOND)


async def test_delete_of_no_counter_does_nothing(
    backend: Backend, clock: ManualClock, at: datetime
) -> None:
    """Deleting an unknown, a deleted or an expired counter does nothing."""
    other = await backend.counters.add("other", 1, lasts_seconds=3600)
    await backend.counters.add("a", 1, lasts_seconds=60)
    clock.now = at + MINUTE

    for key in ("never", "a", "a"):
        await backend.counters.delete(key)

    assert await backend.counters.get("a") is None
    assert await backend.counters.get("other") == other


async def test_key_is_any_text(backend: Backend, at: datetime) -> None:
    """Each text is its own key: no folding, trimming, normalising or patterns."""
    assert len(KEYS) == len(set(KEYS))
    for n, key in enumerate(KEYS):
        assert await backend.counters.add(key, n, lasts_seconds=60) == Count(n, at + MINUTE), ascii(key)

    found = [await backend.counters.get(key) for key in KEYS]
    assert found == [Count(n, at + MINUTE) for n in range(len(KEYS))]

    for key in KEYS[::2]:
        await backend.counters.delete(key)
    left = [await backend.counters.get(key) for key in KEYS]
    assert left == [found[n] if n % 2 else None for n in range(len(KEYS))]


@pytest.mark.rule("Conflicts")
@pytest.mark.parametrize("before", [None, "running", "ended"])
async def test_concurrent_adds_lose_none(
    backend: Backend, open_another: Opener, clock: ManualClock, at: datetime, before: str | None
) -> None:
    """Two hundred concurrent additions through two backends return distinct sums up to the total."""
    another = await open_another(clock=clock)
    expected = Count(200, at + MINUTE)
    if before is not None:
        await backend.counters.add("a", 1000, lasts_seconds=30)
        expected = Count(1200, at + timedelta(seconds=30))
    if before == "ended":
        clock.now = at + timedelta(seconds=30)
        expected = Count(200, clock.now + MINUTE)

    counts, errors = await race(
        (backend, another)[n % 2].counters.add("a", 1, lasts_seconds=60) for n in range(200)
    )

    assert errors == []
    assert {count.ends_at for count in counts} == {expected.ends_at}
    assert sorted(count.value for count in counts) == list(range(expected.value - 199, expected.value + 1))
    assert await backend.counters.get("a") == await another.counters.get("a") == expected


@pytest.mark.rule("Atomicity", "Conflicts")
async def test_concurrent_adds_to_many_keys_do_not_mix(backend: Backend, at: datetime) -> None:
    """Each key has its own count, new keys included."""
    counts, errors = await race(
        backend.counters.add(f"key {n % 10}", n % 10 + 1, lasts_seconds=60) for n in range(100)
    )

    assert (len(counts), errors) == (100, [])
    for n in range(10):
        assert await backend.counters.get(f"key {n}") == Count(10 * (n + 1), at + MINUTE)


@pytest.mark.rule("Conflicts")
async def test_concurrent_adds_and_deletes_leave_what_was_added_since(
    backend: Backend, at: datetime
) -> None:
    """A deletion removes the present value; an addition starts or continues a counter. None fails."""
    calls = [backend.counters.add("a", 1, lasts_seconds=60) for _ in range(40)]
    deletions = [backend.counters.delete("a") for _ in range(4)]

    results, errors = await race([*calls[:20], *deletions, *calls[20:]])

    assert errors == []
    values = [count.value for count in results if count is not None]
    assert (len(values), set(values)) == (40, set(range(1, max(values) + 1)))
    left = await backend.counters.get("a")
    assert left is None or left == Count(left.value, at + MINUTE)
    assert left is None or left.value in values


async def test_counters_are_shared_by_all_backends_on_a_database(
    backend: Backend, open_another: Opener, clock: ManualClock, at: datetime
) -> None:
    """All backends on a database add to, read and delete the same counters."""
    another = await open_another(clock=clock)

    await backend.counters.add("a", 1, lasts_seconds=60)
    assert await another.counters.get("a") == Count(1, at + MINUTE)
    assert await another.counters.add("a", 1, lasts_seconds=1) == Count(2, at + MINUTE)
    assert await backend.counters.get("a") == Count(2, at + MINUTE)
    await another.counters.delete("a")
    assert await backend.counters.get("a") is None


@pytest.mark.rule("Durability")
async def test_counter_outlives_the_backend_that_began_it(
    backend: Backend, open_another: Opener, clock: ManualClock
) -> None:
    """A counter survives the restart of the process that started it."""
    writer = await open_another(clock=clock)
    count = await writer.counters.add("a", 7, lasts_seconds=60)
    await writer.close()

    assert await backend.counters.get("a") == count
    assert await (await open_another(clock=clock)).counters.add("a", 1, lasts_seconds=60) == replace(
        count, value=8
    )


async def test_counters_are_not_listed(backend: Backend) -> None:
    """Counters don't appear in any list."""
    await backend.counters.add("a", 1, lasts_seconds=60)

    assert await all_rows(backend) == ([], [])


# -- clocks that differ ----------------------------------------------------------------------------


HOURS = [timedelta(hours=hours) for hours in (2, -2, 14, -14)]


@pytest.fixture(params=HOURS, ids=str)
async def another(request: pytest.FixtureRequest, open_another: Opener, at: datetime) -> Another:
    """Return a second backend on the database, with a clock that is hours ahead or behind."""
    clock = ManualClock()
    clock.now = at + request.param
    clock.stop()
    return Another(await open_another(clock=clock), clock)


async def test_counter_ends_by_the_clock_of_whoever_asks(
    backend: Backend, another: Another, clock: ManualClock, at: datetime
) -> None:
    """A counter ends by the clock of the reader, whichever clock started it."""
    began = another.clock.now
    await another.backend.counters.add("a", 2, lasts_seconds=60)

    seen = await backend.counters.get("a")
    added = await backend.counters.add("a", 1, lasts_seconds=60)

    if began > at:
        assert seen == Count(2, began + MINUTE)
        assert seen.remaining == began + MINUTE - at
        assert added == Count(3, began + MINUTE)
        clock.now = began + MINUTE
        assert await backend.counters.get("a") is None
        assert await backend.counters.add("a", 1, lasts_seconds=60) == Count(1, clock.now + MINUTE)
    else:
        assert seen is None
        assert added == Count(1, at + MINUTE)
    assert added.remaining == added.ends_at - at


async def test_clock_ahead_removes_no_counter_that_others_need(
    backend: Backend, another: Another, clock: ManualClock, at: datetime
) -> None:
    """A backend whose clock is ahead doesn't remove counters that are still valid for others."""
    count = await backend.counters.add("a", 1, lasts_seconds=60)
    for _ in range(3):
        await another.backend.counters.add("other", 1, lasts_seconds=60)
        another.clock.now += timedelta(minutes=20)

    assert await backend.counters.get("a") == count
    clock.now = at + MINUTE
    assert await backend.counters.get("a") is None
