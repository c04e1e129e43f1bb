"""Waits for the migration lock, with the same timeout and messages on every database."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable

from backends.errors import Conflict

LOCK_WAIT_SECONDS = 600.0
"""The timeout for the migration lock. A deployment restarts an instance that exits after it."""

ANNOUNCE_AFTER_SECONDS = 1.0
POLL_SECONDS = 0.2

logger = logging.getLogger(__name__)


async def wait_for_lock(
    take: Callable[[], Awaitable[bool]], holder: Callable[[], Awaitable[str]], *, wait_seconds: float
) -> None:
    """Poll until the lock is taken; log its holder once.

    Args:
        take: Takes the lock, or returns False if another holder has it.
        holder: Describes the holder.
        wait_seconds: The timeout.

    Raises:
        Conflict: The lock was not free within the timeout.
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
