"""Retries: how many, of what, and until when."""

from __future__ import annotations

import asyncio

import pytest

from backends.errors import BackendError, Conflict, ConnectionLost, PermissionDenied, Unavailable
from backends.retry import FIRST_PAUSE_SECONDS, TRIES, retry_conflicts


class Operation:
    """Fails as planned, and then succeeds."""

    def __init__(self, *failures: BackendError) -> None:
        self._failures = list(failures)
        self.tries = 0

    async def __call__(self) -> int:
        """Return how often it was tried."""
        self.tries += 1
        if self._failures:
            raise self._failures.pop(0)
        return self.tries


def test_tries_are_as_documented() -> None:
    """Five in all, as `docs/semantics.md` promises."""
    assert TRIES == 5


@pytest.mark.parametrize("failures", range(TRIES))
async def test_conflict_is_tried_again(failures: int) -> None:
    """As often as it takes."""
    operation = Operation(*[Conflict("as planned")] * failures)
    assert await retry_conflicts(operation, deadline_seconds=60) == failures + 1


async def test_conflict_in_the_last_try_is_raised() -> None:
    """After all of them."""
    operation = Operation(*[Conflict("as planned")] * TRIES)
    with pytest.raises(Conflict):
        await retry_conflicts(operation, deadline_seconds=60)
    assert operation.tries == TRIES


@pytest.mark.parametrize(
    ("failure", "lost_connections", "tries"),
    [
        (ConnectionLost("as planned"), False, 1),
        (ConnectionLost("as planned"), True, 2),
        (Conflict("as planned"), True, 2),
        (Unavailable("as planned"), True, 1),
        (PermissionDenied("as planned"), True, 1),
        (BackendError("as planned"), True, 1),
    ],
    ids=repr,
)
async def test_only_what_passes_is_tried_again(
    failure: BackendError,
    lost_connections: bool,  # noqa: FBT001
    tries: int,
) -> None:
    """A lost connection only for those who find out what became of the try before."""
    operation = Operation(failure)
    calling = retry_conflicts(operation, deadline_seconds=60, lost_connections=lost_connections)
    if tries == 1:
        with pytest.raises(type(failure)):
            await calling
    else:
        assert await calling == tries
    assert operation.tries == tries


async def test_no_try_begins_after_the_deadline() -> None:
    """The failure of the last one is raised."""
    operation = Operation(*[Conflict("as planned")] * 2)
    with pytest.raises(Conflict):
        await retry_conflicts(operation, deadline_seconds=0)
    assert operation.tries == 1


async def test_pauses_double_up_to_a_random_part(monkeypatch: pytest.MonkeyPatch) -> None:
    """Those who collided don't meet again."""
    pauses: list[float] = []

    async def note(pause: float) -> None:
        pauses.append(pause)

    monkeypatch.setattr(asyncio, "sleep", note)
    for _ in range(200):
        with pytest.raises(Conflict):
            await retry_conflicts(Operation(*[Conflict("as planned")] * TRIES), deadline_seconds=60)
    for number in range(1, TRIES):
        bound = FIRST_PAUSE_SECONDS * 2**number
        longest, shortest = (choose(pauses[number - 1 :: TRIES - 1]) for choose in (max, min))
        assert bound * 0.9 < longest <= bound
        assert 0 <= shortest < bound * 0.1
