"""Concurrency within one process: a semaphore for connections, and locks by key for accounts."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import AsyncExitStack, asynccontextmanager
from weakref import WeakValueDictionary

from backends.errors import Unavailable


class FifoSemaphore:
    """A first-in, first-out semaphore with a timeout.

    The drivers' own pools are not FIFO. Waiting in PyMongo's pool costs half as much as a command.
    """

    def __init__(self, size: int, *, wait_timeout_seconds: float) -> None:
        """Admit `size` holders at once; a waiter gives up after `wait_timeout_seconds`."""
        self._free = asyncio.Semaphore(size)
        self._wait_timeout_seconds = wait_timeout_seconds

    @asynccontextmanager
    async def slot(self) -> AsyncIterator[None]:
        """Hold one slot for the duration of the block.

        Raises:
            Unavailable: No slot became free in time.
        """
        if self._free.locked():
            try:
                async with asyncio.timeout(self._wait_timeout_seconds):
                    await self._free.acquire()
            except TimeoutError as exc:
                raise Unavailable("no database connection became free in time") from exc
        else:
            await self._free.acquire()
        try:
            yield
        finally:
            self._free.release()


class KeyedLocks:
    """FIFO locks by key, one per account. The postings of one process wait for them.

    Without these locks, postings would wait in the database. In PostgreSQL each would keep a connection
    while it waits for a row lock. In MongoDB all but one would fail and be retried.
    """

    def __init__(self, *, wait_timeout_seconds: float) -> None:
        """Wait at most `wait_timeout_seconds` for all locks of one call."""
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        self._wait_timeout_seconds = wait_timeout_seconds

    @asynccontextmanager
    async def hold(self, keys: Iterable[str]) -> AsyncIterator[None]:
        """Hold the locks of all keys for the duration of the block.

        Args:
            keys: The keys, in the same order for all callers (`Posting.account_ids` is sorted). This
                order prevents deadlocks.

        Raises:
            Unavailable: The locks did not become free in time.
        """
        async with AsyncExitStack() as held:
            try:
                async with asyncio.timeout(self._wait_timeout_seconds):
                    for key in keys:
                        await held.enter_async_context(self._lock(key))
            except TimeoutError as exc:
                raise Unavailable("too many wait for the account") from exc
            yield

    def _lock(self, key: str) -> asyncio.Lock:
        lock = self._locks.get(key)
        if lock is None:
            lock = self._locks[key] = asyncio.Lock()
        return lock
