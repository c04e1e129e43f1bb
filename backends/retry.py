"""Retries of what collided with concurrent changes: few, with jitter, before a deadline.

Only for operations that did nothing when they raise `Conflict` (a transaction or a single statement that
the database rolled back), so that a second try can't do anything twice.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from typing import TypeVar

from backends.errors import Conflict

T = TypeVar("T")

TRIES = 5
FIRST_PAUSE_SECONDS = 0.01


async def retry_conflicts(operation: Callable[[], Awaitable[T]], *, deadline_seconds: float) -> T:
    """Await the operation, again after a `Conflict`, at most `TRIES` times in all.

    The pause before a try is random up to a bound that doubles ("full jitter",
    https://aws.amazon.com/builders-library/timeouts-retries-and-backoff-with-jitter/): those who
    collided don't meet again.

    Raises:
        Conflict: The last try collided, or no time is left for another.
    """
    loop = asyncio.get_running_loop()
    deadline = loop.time() + deadline_seconds
    for attempt in range(1, TRIES):
        try:
            return await operation()
        except Conflict:
            pause = random.uniform(0, FIRST_PAUSE_SECONDS * 2**attempt)  # noqa: S311 - no secret
            if loop.time() + pause >= deadline:
                raise
            await asyncio.sleep(pause)
    return await operation()
