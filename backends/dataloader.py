"""A DataLoader: look-ups by key that are requested at the same time share one database command."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Generic, TypeAlias, TypeVar

from backends.errors import Unavailable

T = TypeVar("T")

Waiting: TypeAlias = list[tuple[str, asyncio.Future[T | None]]]
"""Keys, each with the future of one caller."""

MAX_KEYS = 100
"""The maximum size of a batch. MongoDB's first reply batch holds 101 documents."""

LOOP_ITERATIONS = 2
"""The number of event loop iterations for which a batch waits for more keys.

In these iterations the results of earlier look-ups arrive, and their requests start the next look-up.
"""


class DataLoader(Generic[T]):
    """Loads values by key, and batches the keys of concurrent callers.

    A command costs more CPU time than its rows. No caller waits for a timer: a batch is sent
    a few event loop iterations after its first key. So a batch has several keys only under concurrent
    requests. If the last look-up had no company and none is running, the next one is sent at once.

    Nothing is cached. A batch is sent after all of its calls have started, so every caller sees all writes
    that precede its call.
    """

    def __init__(self, fetch: Callable[[Sequence[str]], Awaitable[Mapping[str, T]]]) -> None:
        """Fetch with this function. It takes distinct keys and returns the values of existing keys."""
        self._fetch = fetch
        self._open: _Batch[T] | None = None
        self._running = 0
        self._has_company = True

    async def load(self, key: str) -> T | None:
        """Return the value of the key, or None if the key does not exist.

        Raises:
            Unavailable: The command failed, for every caller of the batch.
            BackendError: The stored value can't be read.
        """
        if self._running:
            self._has_company = True
        elif not self._has_company:
            return await self._load_alone(key)
        loop = asyncio.get_running_loop()
        batch = self._open
        if batch is None or len(batch.waiting) == MAX_KEYS:
            batch = self._open = _Batch()
            batch.task = loop.create_task(self._send(batch))
        found: asyncio.Future[T | None] = loop.create_future()
        batch.waiting.append((key, found))
        try:
            return await found
        except asyncio.CancelledError:
            if all(each.cancelled() for _, each in batch.waiting):
                self._cancel(batch)
            raise

    async def _load_alone(self, key: str) -> T | None:
        """Send the look-up from the caller's task, without a batch."""
        self._running += 1
        try:
            return (await self._fetch([key])).get(key)
        finally:
            self._running -= 1

    async def _send(self, batch: _Batch[T]) -> None:
        try:
            for _ in range(LOOP_ITERATIONS):
                await asyncio.sleep(0)
            self._close(batch)
            self._has_company = self._running > 0 or len(batch.waiting) > 1
            self._running += 1
            try:
                await self._resolve(batch.waiting)
            finally:
                self._running -= 1
        finally:
            for _, found in batch.waiting:
                found.cancel()  # has no effect on a future that is done

    async def _resolve(self, waiting: Waiting[T]) -> None:
        keys = list(dict.fromkeys(key for key, _ in waiting))
        try:
            values = await self._fetch(keys)
        except Exception as exc:  # noqa: BLE001 - the callers get it
            if len(keys) > 1 and not isinstance(exc, Unavailable):
                # Probably one stored value can't be read. Only the callers of its key get the error.
                for key in keys:
                    await self._resolve([each for each in waiting if each[0] == key])
                return
            for _, found in waiting:
                if not found.done():
                    found.set_exception(exc)
        else:
            for key, found in waiting:
                if not found.done():
                    found.set_result(values.get(key))

    def _close(self, batch: _Batch[T]) -> None:
        """Accept no more keys into the batch."""
        if self._open is batch:
            self._open = None

    def _cancel(self, batch: _Batch[T]) -> None:
        """Cancel a batch whose callers are all cancelled."""
        self._close(batch)
        batch.task.cancel()


class _Batch(Generic[T]):
    """The callers of one command, and the task that runs it."""

    task: asyncio.Task[None]

    def __init__(self) -> None:
        self.waiting: Waiting[T] = []
