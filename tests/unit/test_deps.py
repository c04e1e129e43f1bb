"""Two look-ups at the same time: that of the user comes first in everything but time."""

from __future__ import annotations

import asyncio
import gc
from typing import cast

import pytest

from api.deps import beside
from backends.models import User

USER = cast("User", object())


class Calls:
    """A user and a row, which are looked up for as many iterations of the event loop as given."""

    def __init__(self, user: int, row: int, *, errors: bool = False) -> None:
        self.done: list[str] = []
        self._durations = {"user": user, "row": row}
        self._errors = errors

    async def user(self) -> User:
        """Return the user, or raise its error."""
        await self._wait("user")
        if self._errors:
            raise PermissionError
        return USER

    async def row(self) -> str:
        """Return the row, or raise its error."""
        self.done.append("row begins")
        await self._wait("row")
        if self._errors:
            raise LookupError
        return "row"

    async def _wait(self, name: str) -> None:
        for _ in range(self._durations[name]):
            await asyncio.sleep(0)
        self.done.append(name)


@pytest.mark.parametrize(("user", "row"), [(0, 0), (1, 3), (3, 1)])
async def test_both_run_at_the_same_time(user: int, row: int) -> None:
    """Neither waits for the other, whichever is longer."""
    calls = Calls(user, row)
    assert await beside(calls.user(), calls.row()) == (USER, "row")
    if user > row:
        assert calls.done == ["row begins", "row", "user"]


@pytest.mark.parametrize(("user", "row"), [(0, 0), (1, 3), (3, 1)])
async def test_error_of_the_user_comes_first(user: int, row: int, caplog: pytest.LogCaptureFixture) -> None:
    """The row is forgotten: its look-up is cancelled, and its error is nobody's."""
    calls = Calls(user, row, errors=True)
    tasks = asyncio.all_tasks()
    with pytest.raises(PermissionError):
        await beside(calls.user(), calls.row())
    gc.collect()  # a task whose error nobody has retrieved logs it now
    assert ("row begins" in calls.done) is (user > 0), "an invalid token reads nothing"
    assert asyncio.all_tasks() <= tasks
    assert caplog.text == ""


async def test_cancellation_ends_both() -> None:
    """A client that disconnects leaves no look-up behind."""
    calls = Calls(1000, 1000)
    tasks = asyncio.all_tasks()
    task = asyncio.create_task(beside(calls.user(), calls.row()))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert calls.done == ["row begins"]
    assert asyncio.all_tasks() <= tasks


async def test_error_of_the_row_is_raised() -> None:
    """It comes after the user is known."""

    async def missing() -> str:
        raise LookupError

    with pytest.raises(LookupError):
        await beside(Calls(3, 0).user(), missing())
