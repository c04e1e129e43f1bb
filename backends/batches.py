"""Look-ups by key that are asked for in one moment go to the database together."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Generic, TypeVar

T = TypeVar("T")

MAX_KEYS = 100
"""How many keys are looked for together: fewer than the 101 documents of MongoDB's first batch."""


class Batches(Generic[T]):
    """Finds values by their keys, those of all who ask in one turn of the event loop by one command.

    A command costs a service more than what it finds. Nobody waits for others to come: a batch is sent in
    the next turn of the loop, with all that were asked for in this one, so there is more than one key in it
    just when more than one request is served at once. It is sent after the call of each of its callers, so
    whoever calls sees all that was written before the call.
    """

    def __init__(self, find: Callable[[Sequence[str]], Awaitable[Mapping[str, T]]]) -> None:
        """Look up by this function: it gets keys, each once, and returns the values of those that exist."""
        self._find = find
        self._open: _Batch[T] | None = None

    async def get(self, key: str) -> T | None:
        """Return the value of the key; None if it has none.

        Raises:
            BackendError: The look-up failed, and so it did for everybody in the batch.
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
            batch.call_off_if_unwanted()
            raise

    async def _send(self, batch: _Batch[T]) -> None:
        if self._open is batch:
            self._open = None
        try:
            values = await self._find(list(dict.fromkeys(key for key, _ in batch.waiting)))
        except Exception as exc:  # noqa: BLE001 - whoever waits for it is told
            for _, found in batch.waiting:
                if not found.done():
                    found.set_exception(exc)
        else:
            for key, found in batch.waiting:
                if not found.done():
                    found.set_result(values.get(key))
        finally:
            for _, found in batch.waiting:
                found.cancel()  # does nothing to those that were told


class _Batch(Generic[T]):
    """Who waits, and the task that finds what they wait for."""

    task: asyncio.Task[None]

    def __init__(self) -> None:
        self.waiting: list[tuple[str, asyncio.Future[T | None]]] = []

    def call_off_if_unwanted(self) -> None:
        """Cancel the look-up if everybody who waited for it was cancelled."""
        if all(found.cancelled() for _, found in self.waiting):
            self.task.cancel()
