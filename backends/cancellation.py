"""What must not stop in the middle when its caller is cancelled (a time limit, a shutdown)."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from contextlib import suppress
from typing import TypeVar

T = TypeVar("T")


async def run_to_completion(run: Awaitable[T]) -> T:
    """Await it; if the caller is cancelled, however often, let it finish before that goes on."""
    task = asyncio.ensure_future(run)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        # A cancel scope of anyio's, in which Starlette streams, cancels again and again.
        while not task.done():
            with suppress(asyncio.CancelledError):
                await asyncio.wait([task])
        if not task.cancelled():
            task.exception()  # looked at, so that asyncio does not report it as lost
        raise
