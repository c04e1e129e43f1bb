"""Retries: few, with jitter, before a deadline.

Of what collided with concurrent changes, for operations that did nothing when they raise `Conflict` (a
transaction or a single statement that the database rolled back); and of what lost its connection, for
operations that find out whether the try before was carried out. So a second try does nothing twice.
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
    """Await the operation, again after a `Conflict`, at most `TRIES` times in all.

    With `lost_connections` also after a `ConnectionLost`.

    The pause before a try is random up to a bound that doubles ("full jitter",
    https://aws.amazon.com/builders-library/timeouts-retries-and-backoff-with-jitter/): those who
    collided don't meet again.

    Raises:
        Conflict: The last try collided, or no time is left for another.
        ConnectionLost: The same, of connections.
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
