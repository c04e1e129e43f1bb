"""Fault injection: kills that are spread over a load by its progress and not by time."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field

from tests.proof.load import Load
from tests.proof.processes import OwnDatabase, Serve

Fault = Callable[[Load], Awaitable[None]]


@dataclass
class Faults:
    """The faults in their order, and the progress of the load at each of them."""

    actions: Sequence[Fault] = ()
    injected_at: list[int] = field(default_factory=list)

    async def inject(self, load: Load) -> None:
        """Inject each fault when the load has reached its share."""
        for number, action in enumerate(self.actions, 1):
            await load.reached(number * load.total // (len(self.actions) + 1))
            assert load.answered < load.total, f"fault {number} came after the load"
            self.injected_at.append(load.answered)
            await action(load)


def crash_of(process: Serve | OwnDatabase) -> Fault:
    """Return a fault: kill the process, wait until a client fails, start the process again."""

    async def crash(load: Load) -> None:
        await asyncio.gather(process.kill(), load.failure())
        await process.start()

    return crash


def alternately(database: OwnDatabase | None, serve: Serve, *, times: int = 3) -> Faults:
    """Return crashes of both in turn, `times` each; only of the service if there is no database server."""
    both = [crash_of(process) for process in (database, serve) if process is not None]
    return Faults(both * times)
