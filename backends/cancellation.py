"""Work that runs to completion even if its caller is cancelled (a timeout, a shutdown)."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from contextlib import suppress
from typing import TypeVar

T = TypeVar("T")


async def run_to_completion(run: Awaitable[T]) -> T:
    """Await `run`. If the caller is cancelled, wait until `run` is done and then raise CancelledError."""
    task = asyncio.ensure_future(run)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        # anyio's cancel scopes, in which Starlette streams, cancel repeatedly.
        while not task.done():
            with suppress(asyncio.CancelledError):
                await asyncio.wait([task])
        if not task.cancelled():
            task.exception()  # retrieved, so that asyncio does not log it
        raise
