"""Look-ups by key that are asked for in one moment go to the database together."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Generic, TypeAlias, TypeVar

from backends.errors import Unavailable

T = TypeVar("T")

Waiting: TypeAlias = list[tuple[str, asyncio.Future[T | None]]]
"""Keys, and who waits for the value of each."""

MAX_KEYS = 100
"""How many keys are looked for together: fewer than the 101 documents of MongoDB's first batch."""

TURNS = 2
"""How many turns a batch waits, besides the one in which it begins: those in which answers come that were
waited for, and their requests go on to the next look-up."""


class Batches(Generic[T]):
    """Finds values by their keys, those of all who ask at about the same moment by one command.

    A command costs a service more than what it finds. Nobody waits for the clock: a batch is sent a few
    turns of the loop later, with all that were asked for meanwhile, so there is more than one key in it
    just when more than one request is served at once; an idle loop turns in microseconds. It is sent after
    the call of each of its callers, so whoever calls sees all that was written before the call.
    """

    def __init__(self, find: Callable[[Sequence[str]], Awaitable[Mapping[str, T]]]) -> None:
        """Look up by this function: it gets keys, each once, and returns the values of those that exist."""
        self._find = find
        self._open: _Batch[T] | None = None

    async def get(self, key: str) -> T | None:
        """Return the value of the key; None if it has none.

        Raises:
            Unavailable: The look-up failed, and so it did for everybody in the batch.
            BackendError: What was found can't be read.
        """
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
                self._call_off(batch)
            raise

    async def _send(self, batch: _Batch[T]) -> None:
        try:
            for _ in range(TURNS):
                await asyncio.sleep(0)
            self._close(batch)
            await self._answer(batch.waiting)
        finally:
            for _, found in batch.waiting:
                found.cancel()  # does nothing to those that were told

    async def _answer(self, waiting: Waiting[T]) -> None:
        keys = list(dict.fromkeys(key for key, _ in waiting))
        try:
            values = await self._find(keys)
        except Exception as exc:  # noqa: BLE001 - whoever waits for it is told
            if len(keys) > 1 and not isinstance(exc, Unavailable):
                # A value that can't be read, most likely: whose it is will be seen.
                for key in keys:
                    await self._answer([each for each in waiting if each[0] == key])
                return
            for _, found in waiting:
                if not found.done():
                    found.set_exception(exc)
        else:
            for key, found in waiting:
                if not found.done():
                    found.set_result(values.get(key))

    def _close(self, batch: _Batch[T]) -> None:
        """Let nobody else into it."""
        if self._open is batch:
            self._open = None

    def _call_off(self, batch: _Batch[T]) -> None:
        """Cancel a look-up that nobody waits for any more, which may not even have begun."""
        self._close(batch)
        batch.task.cancel()


class _Batch(Generic[T]):
    """Who waits, and the task that finds what they wait for."""

    task: asyncio.Task[None]

    def __init__(self) -> None:
        self.waiting: Waiting[T] = []
