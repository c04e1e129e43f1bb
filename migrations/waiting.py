"""Waiting for the migration lock: the same patience and the same words on every database."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable

from backends.errors import Conflict

LOCK_WAIT_SECONDS = 600.0
"""How long an instance waits while another one migrates. A deployment starts one that gave up again."""

ANNOUNCE_AFTER_SECONDS = 1.0
POLL_SECONDS = 0.2

logger = logging.getLogger(__name__)


async def wait_for_lock(
    take: Callable[[], Awaitable[bool]], holder: Callable[[], Awaitable[str]], *, wait_seconds: float
) -> None:
    """Try to take the lock until it is taken; say once for whom this waits.

    Args:
        take: Takes the lock, or returns False while somebody else has it.
        holder: Describes who has it.
        wait_seconds: After how long to give up.

    Raises:
        Conflict: It was not free in all that time.
    """
    loop = asyncio.get_running_loop()
    began = loop.time()
    is_announced = False
    while not await take():
        waited = loop.time() - began
        if waited >= wait_seconds:
            raise Conflict(
                f"the migration lock was not free for {wait_seconds:.0f} seconds: {await holder()} has it"
            )
        if waited >= ANNOUNCE_AFTER_SECONDS and not is_announced:
            is_announced = True
            logger.warning(
                "waiting up to %.0f seconds for the migration lock: %s has it", wait_seconds, await holder()
            )
        await asyncio.sleep(POLL_SECONDS)
