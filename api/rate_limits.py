"""The rates of the settings, and the `limits` library on the database's counters."""

from __future__ import annotations

from time import time

from limits import parse
from limits.aio.storage import Storage
from limits.aio.strategies import FixedWindowRateLimiter

from backends.protocols import CounterRepository
from config import Settings


class _CounterStorage(Storage):
    """The database's counters, as the `limits` library wants them."""

    STORAGE_SCHEME = None
    base_exceptions = ()

    def __init__(self, counters: CounterRepository) -> None:
        super().__init__()
        self._counters = counters

    async def incr(self, key: str, expiry: int, amount: int = 1) -> int:
        return (await self._counters.add(key, amount, lasts_seconds=expiry)).value

    async def get(self, key: str) -> int:
        count = await self._counters.get(key)
        return count.value if count else 0

    async def get_expiry(self, key: str) -> float:
        count = await self._counters.get(key)
        return count.ends_at.timestamp() if count else time()

    async def clear(self, key: str) -> None:
        await self._counters.delete(key)

    async def check(self) -> bool:
        return True

    async def reset(self) -> None:
        raise NotImplementedError


class RateLimits:
    """How often what may be tried, and what counts the tries."""

    def __init__(self, counters: CounterRepository, settings: Settings) -> None:
        self.limiter = FixedWindowRateLimiter(_CounterStorage(counters))
        self.login = parse(settings.login_limit)
        self.login_of_client = parse(settings.login_limit_per_client)
        self.recovery = parse(settings.recovery_limit)
        self.recovery_of_client = parse(settings.recovery_limit_per_client)
