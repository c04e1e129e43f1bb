"""Who may go next, within one process: to a connection, or to an account."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import AsyncExitStack, asynccontextmanager
from weakref import WeakValueDictionary

from backends.errors import Unavailable


class Queue:
    """Lets so many work at once; the others wait in the order in which they came.

    The drivers' pools let newcomers overtake, and waiting in PyMongo's costs half as much as a command.
    """

    def __init__(self, size: int, *, wait_timeout_seconds: float) -> None:
        """Let nobody wait longer than this."""
        self._free = asyncio.Semaphore(size)
        self._wait_timeout_seconds = wait_timeout_seconds

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        """Wait for a turn, and keep it for the block.

        Raises:
            Unavailable: The time is over.
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


class Turns:
    """Lets the postings of one process wait for each other's accounts here, first come, first served.

    Without it they would meet in the database: in PostgreSQL each would keep a connection while it waits
    for a row, and in MongoDB all but one would fail and try again.
    """

    def __init__(self, *, wait_timeout_seconds: float) -> None:
        """Let nobody wait longer than this for all accounts of a posting."""
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        self._wait_timeout_seconds = wait_timeout_seconds

    @asynccontextmanager
    async def of(self, account_ids: Iterable[str]) -> AsyncIterator[None]:
        """Wait for these accounts, in the order of `Posting.account_ids`, and keep them for the block.

        Raises:
            Unavailable: The time is over.
        """
        async with AsyncExitStack() as held:
            try:
                async with asyncio.timeout(self._wait_timeout_seconds):
                    for account_id in account_ids:
                        await held.enter_async_context(self._lock(account_id))
            except TimeoutError as exc:
                raise Unavailable("too many wait for the account") from exc
            yield

    def _lock(self, account_id: str) -> asyncio.Lock:
        lock = self._locks.get(account_id)
        if lock is None:
            lock = self._locks[account_id] = asyncio.Lock()
        return lock
