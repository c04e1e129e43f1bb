"""Rate limits: fixed windows on the database's counters, in the notation of the `limits` library."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil

from limits import parse

from backends.protocols import Count, CounterRepository
from config import Settings

# An account's limit for all clients together, as a multiple of the limit for one: what a botnet is held to.
ACCOUNT_FACTOR = 5

CLOCKS = 3
"""The most clocks that differ by more than a window, of all instances, before the last is not limited."""


@dataclass(frozen=True, slots=True)
class Window:
    """What is counted together: from the first that is counted, for so many seconds.

    Nobody waits for longer than that. A counter that lasts longer was begun by an instance whose clock is
    ahead. It is left alone, because to begin it anew would let whoever alternates between two instances
    guess for ever, and an instance whose clock is behind counts under the next key. So each of two clocks
    that differ has a limit of its own.

    Attributes:
        keys: Of the counters: the first is the one that counts, unless a clock ahead began it.
        amount: How much is allowed.
        lasts_seconds: Its length.
    """

    keys: tuple[str, ...]
    amount: int
    lasts_seconds: int

    def is_ahead(self, count: Count) -> bool:
        """Tell whether the counter was begun by a clock that is ahead of this instance's."""
        return count.remaining.total_seconds() > self.lasts_seconds

    def seconds_to_wait(self, count: Count) -> int:
        """Return the time until the window ends, in whole seconds and at least one."""
        return max(1, ceil(count.remaining.total_seconds()))


class RateLimit:
    """One limit of the settings."""

    def __init__(self, rate: str, purpose: str, *, factor: int = 1) -> None:
        """Read the rate, such as `10/minute`, and allow so many times its amount."""
        limit = parse(rate)
        self._limit = type(limit)(limit.amount * factor, limit.multiples)
        self._purpose = purpose

    def window(self, key: str) -> Window:
        """Return the window in which attempts of this client, account or pair of both are counted."""
        limit = self._limit
        counted = limit.key_for(self._purpose, key)
        keys = tuple(counted + "~" * clock for clock in range(CLOCKS))
        return Window(keys, limit.amount, limit.get_expiry())


class RateLimits:
    """The limits of the settings, and the counters that tell when one is reached."""

    def __init__(self, counters: CounterRepository, settings: Settings) -> None:
        self._counters = counters
        self.login = RateLimit(settings.login_limit, "login")
        self.login_of_client = RateLimit(settings.login_limit_per_client, "login")
        self.login_of_account = RateLimit(settings.login_limit, "login", factor=ACCOUNT_FACTOR)
        self.recovery = RateLimit(settings.recovery_limit, "recovery")
        self.recovery_of_client = RateLimit(settings.recovery_limit_per_client, "recovery")
        self.recovery_of_account = RateLimit(settings.recovery_limit, "recovery", factor=ACCOUNT_FACTOR)

    async def find_wait(self, window: Window) -> int | None:
        """Return the seconds to wait if the limit is reached; None if it is not."""
        for key in window.keys:
            count = await self._counters.get(key)
            if count is None or not window.is_ahead(count):
                return (
                    None if count is None or count.value < window.amount else window.seconds_to_wait(count)
                )
        return None

    async def hit(self, window: Window) -> int | None:
        """Count one; return the seconds to wait if that is more than the limit allows, None if not."""
        for key in window.keys:
            count = await self._counters.add(key, 1, lasts_seconds=window.lasts_seconds)
            if not window.is_ahead(count):
                return None if count.value <= window.amount else window.seconds_to_wait(count)
        return None
