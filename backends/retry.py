"""Retries with exponential back-off and jitter, up to a deadline.

Operations that collided with concurrent changes are retried. They have changed nothing when they raise
`Conflict`, because the database rolled back the statement or transaction. Operations that lost their
connection are retried if they can find out whether the previous attempt took effect. So a retry never
repeats an effect.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from typing import TypeVar

from backends.errors import Conflict, ConnectionLost

T = TypeVar("T")

TRIES = 5
FIRST_PAUSE_SECONDS = 0.01


async def retry_conflicts(
    operation: Callable[[], Awaitable[T]], *, deadline_seconds: float, lost_connections: bool = False
) -> T:
    """Await the operation; retry it after a `Conflict`, with at most `TRIES` attempts in total.

    With `lost_connections`, also retry after a `ConnectionLost`.

    The pause before a retry is random, up to a bound that doubles ("full jitter",
    https://aws.amazon.com/builders-library/timeouts-retries-and-backoff-with-jitter/). So the same callers
    rarely collide again.

    Raises:
        Conflict: The last attempt collided, or the deadline leaves no time for another.
        ConnectionLost: The last attempt lost its connection, or the deadline leaves no time for another.
    """
    passing = (Conflict, ConnectionLost) if lost_connections else (Conflict,)
    loop = asyncio.get_running_loop()
    deadline = loop.time() + deadline_seconds
    for attempt in range(1, TRIES):
        try:
            return await operation()
        except passing:
            pause = random.uniform(0, FIRST_PAUSE_SECONDS * 2**attempt)  # noqa: S311 - no secret
            if loop.time() + pause >= deadline:
                raise
            await asyncio.sleep(pause)
    return await operation()
