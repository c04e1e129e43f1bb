"""Rate limits as they are read from the settings, and how long a client waits."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from api.rate_limits import RateLimit, RateLimits, Window
from backends.protocols import Count
from tests.provision import make_settings

NOW = datetime(2026, 11, 22, 16, 25, 25, tzinfo=UTC)


class Counters:
    """Counters on a clock that stands still."""

    def __init__(self) -> None:
        self.counts: dict[str, Count] = {}

    async def add(self, key: str, amount: int, *, lasts_seconds: int) -> Count:
        """See `CounterRepository`."""
        before = self.counts.get(key)
        lasts = before.remaining if before else timedelta(seconds=lasts_seconds)
        self.counts[key] = Count((before.value if before else 0) + amount, NOW + lasts, lasts)
        return self.counts[key]

    async def get(self, key: str) -> Count | None:
        """See `CounterRepository`."""
        return self.counts.get(key)

    async def delete(self, key: str) -> None:
        """See `CounterRepository`."""
        self.counts.pop(key, None)


@pytest.fixture
def counters() -> Counters:
    """Return counters, none of which runs."""
    return Counters()


@pytest.fixture
def rates(counters: Counters) -> RateLimits:
    """Return the limits of the default settings."""
    return RateLimits(counters, make_settings())


@pytest.mark.parametrize(
    ("rate", "amount", "seconds"),
    [("10/minute", 10, 60), ("1/second", 1, 1), ("5 per 30 second", 5, 30), ("100/hour", 100, 3600)],
)
def test_rate_is_an_amount_in_a_window(rate: str, amount: int, seconds: int) -> None:
    """In the notation of `limits`; for an account as many times as much."""
    for factor in (1, 5):
        window = RateLimit(rate, "login", factor=factor).window("key")
        assert (window.amount, window.lasts_seconds) == (amount * factor, seconds)


def test_windows_of_different_things_are_different(rates: RateLimits) -> None:
    """By what is limited, whom, and by how much."""
    limits = [rates.login, rates.login_of_client, rates.login_of_account]
    limits += [rates.recovery, rates.recovery_of_client, rates.recovery_of_account]
    keys = [key for limit in limits for name in ("a", "b") for key in limit.window(name).keys]
    assert len(set(keys)) == len(keys) == len(limits) * 2 * 3
    assert rates.login_of_account.window("a").amount == 5 * rates.login.window("a").amount
    assert rates.recovery_of_account.window("a").amount == 5 * rates.recovery.window("a").amount


@pytest.mark.parametrize(
    ("milliseconds", "seconds"), [(0, 1), (1, 1), (1000, 1), (1001, 2), (59_000, 59), (60_000, 60)]
)
def test_wait_is_in_whole_seconds(milliseconds: int, seconds: int) -> None:
    """Never 0, and never so short that the next attempt is refused again."""
    window = Window(("key",), 1, 60)
    assert window.seconds_to_wait(Count(1, NOW, timedelta(milliseconds=milliseconds))) == seconds


def test_counter_that_lasts_longer_than_its_window_is_of_a_clock_ahead() -> None:
    """The whole window is what a counter of one's own lasts at most."""
    window = Window(("key",), 1, 60)
    assert not window.is_ahead(Count(1, NOW, timedelta(seconds=60)))
    assert window.is_ahead(Count(1, NOW, timedelta(seconds=60, milliseconds=1)))


async def test_limit_allows_its_amount_and_no_more(rates: RateLimits) -> None:
    """Whether each attempt is looked at first or counted at once."""
    window = Window(("key",), 3, 60)
    for _ in range(3):
        assert await rates.find_retry_after(window) is None
        assert await rates.hit(window) is None
    assert await rates.find_retry_after(window) == 60
    assert await rates.hit(window) == 60


@pytest.mark.parametrize("ahead", range(4))
async def test_counters_of_clocks_ahead_are_passed_over(
    rates: RateLimits, counters: Counters, ahead: int
) -> None:
    """Each clock has a key of its own; where there are no more keys nobody is refused."""
    window = Window(("a", "b", "c"), 1, 60)
    for key in window.keys[:ahead]:
        await counters.add(key, 100, lasts_seconds=3600)
    assert await rates.find_retry_after(window) is None
    assert await rates.hit(window) is None
    assert await rates.find_retry_after(window) == (None if ahead == 3 else 60)
    assert await rates.hit(window) == (None if ahead == 3 else 60)
