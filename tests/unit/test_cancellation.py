"""`run_to_completion` finishes, however often its caller is cancelled."""

from __future__ import annotations

import asyncio
import gc

import anyio
import pytest

from backends.cancellation import run_to_completion


@pytest.fixture
def done() -> list[str]:
    """Return what has been done so far."""
    return []


async def work(done: list[str]) -> None:
    """Take a moment, with many waits in it."""
    for _ in range(20):
        await asyncio.sleep(0.005)
    done.append("work")


async def test_cancelled_once_it_ends_first(done: list[str]) -> None:
    """The caller is told of the cancellation afterwards."""
    caller = asyncio.create_task(run_to_completion(work(done)))
    await asyncio.sleep(0.01)
    caller.cancel()
    with pytest.raises(asyncio.CancelledError):
        await caller
    assert done == ["work"]


async def test_cancelled_again_and_again_it_ends_first(done: list[str]) -> None:
    """As in a scope of anyio's, in which Starlette streams answers."""
    with anyio.move_on_after(0.01) as scope:
        await run_to_completion(work(done))
    assert scope.cancelled_caught
    assert done == ["work"]


async def test_failure_after_a_cancellation_is_not_reported_as_lost() -> None:
    """The caller is gone, and asyncio would log that nobody looked at the error."""
    reported: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: reported.append(context))

    async def fail() -> None:
        await asyncio.sleep(0.01)
        raise OSError("as planned")

    try:
        caller = asyncio.create_task(run_to_completion(fail()))
        await asyncio.sleep(0)
        caller.cancel()
        with pytest.raises(asyncio.CancelledError):
            await caller
        del caller
        gc.collect()
        await asyncio.sleep(0)
    finally:
        asyncio.get_running_loop().set_exception_handler(None)
    assert reported == []


async def test_work_that_is_cancelled_itself_ends_the_wait() -> None:
    """There is nothing to look at."""
    working = asyncio.ensure_future(asyncio.sleep(10))
    caller = asyncio.create_task(run_to_completion(working))
    await asyncio.sleep(0)
    caller.cancel()
    await asyncio.sleep(0)
    working.cancel()
    async with asyncio.timeout(5):
        with pytest.raises(asyncio.CancelledError):
            await caller
