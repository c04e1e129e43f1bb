"""Rate limits: fixed windows on counters in the database, in the notation of the `limits` library."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil

from limits import parse

from backends.protocols import Count, CounterRepository
from config import Settings

# The limit of an account for all clients together, as a multiple of the limit for one client. It limits
# distributed attacks.
ACCOUNT_FACTOR = 5

CLOCKS = 3
"""The number of clocks, more than a window apart, for which attempts are still limited."""


@dataclass(frozen=True, slots=True)
class Window:
    """A fixed window. It starts with the first attempt and lasts `lasts_seconds`.

    No client waits longer than that. A counter that ends later was started by an instance whose clock is
    ahead. This instance leaves that counter alone and uses the next key, so each of two different clocks
    has its own limit. A restart of the counter would disable the limit for a client that alternates between
    the two instances.

    Attributes:
        keys: The keys of the counters. The first applies, unless a clock ahead started its counter.
        amount: The number of allowed attempts.
        lasts_seconds: The length of the window.
    """

    keys: tuple[str, ...]
    amount: int
    lasts_seconds: int

    def is_ahead(self, count: Count) -> bool:
        """Return whether an instance whose clock is ahead started the counter."""
        return count.remaining.total_seconds() > self.lasts_seconds

    def seconds_to_wait(self, count: Count) -> int:
        """Return the time until the window ends, in whole seconds, at least one."""
        return max(1, ceil(count.remaining.total_seconds()))


class RateLimit:
    """A rate limit from the settings."""

    def __init__(self, rate: str, purpose: str, *, factor: int = 1) -> None:
        """Parse the rate, such as `10/minute`, and multiply its amount by the factor."""
        limit = parse(rate)
        self._limit = type(limit)(limit.amount * factor, limit.multiples)
        self._purpose = purpose

    def window(self, key: str) -> Window:
        """Return the window for a client, an account, or a pair of both."""
        limit = self._limit
        counted = limit.key_for(self._purpose, key)
        keys = tuple(counted + "~" * clock for clock in range(CLOCKS))
        return Window(keys, limit.amount, limit.get_expiry())


class RateLimits:
    """The rate limits from the settings, with the counters in the database."""

    def __init__(self, counters: CounterRepository, settings: Settings) -> None:
        self._counters = counters
        self.login = RateLimit(settings.login_limit, "login")
        self.login_of_client = RateLimit(settings.login_limit_per_client, "login")
        self.login_of_account = RateLimit(settings.login_limit, "login", factor=ACCOUNT_FACTOR)
        self.recovery = RateLimit(settings.recovery_limit, "recovery")
        self.recovery_of_client = RateLimit(settings.recovery_limit_per_client, "recovery")
        self.recovery_of_account = RateLimit(settings.recovery_limit, "recovery", factor=ACCOUNT_FACTOR)

    async def find_retry_after(self, window: Window) -> int | None:
        """Return the seconds to wait if the limit is reached; None otherwise. Nothing is counted."""
        for key in window.keys:
            count = await self._counters.get(key)
            if count is None or not window.is_ahead(count):
                return (
                    None if count is None or count.value < window.amount else window.seconds_to_wait(count)
                )
        return None

    async def hit(self, window: Window) -> int | None:
        """Count an attempt. Return the seconds to wait if it exceeds the limit; None otherwise."""
        for key in window.keys:
            count = await self._counters.add(key, 1, lasts_seconds=window.lasts_seconds)
            if not window.is_ahead(count):
                return None if count.value <= window.amount else window.seconds_to_wait(count)
        return None
