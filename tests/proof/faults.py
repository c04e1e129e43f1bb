"""Kills, spread over a load by what it has done rather than by time."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field

from tests.proof.load import Load
from tests.proof.processes import OwnDatabase, Serve

Fault = Callable[[Load], Awaitable[None]]


@dataclass
class Faults:
    """What is to happen, one after the other, and how far the load was when it did."""

    actions: Sequence[Fault] = ()
    happened_at: list[int] = field(default_factory=list)

    async def happen(self, load: Load) -> None:
        """Let each happen when the load has come as far."""
        for number, action in enumerate(self.actions, 1):
            await load.reached(number * load.total // (len(self.actions) + 1))
            assert load.answered < load.total, f"fault {number} came after the load"
            self.happened_at.append(load.answered)
            await action(load)


def crash_of(process: Serve | OwnDatabase) -> Fault:
    """Return the fault that a process is killed, and started again when clients have felt it."""

    async def crash(load: Load) -> None:
        await asyncio.gather(process.kill(), load.failure())
        await process.start()

    return crash


def alternately(database: OwnDatabase | None, serve: Serve, *, times: int = 3) -> Faults:
    """Return so many crashes of each; without a database server, of the other alone."""
    both = [crash_of(process) for process in (database, serve) if process is not None]
    return Faults(both * times)
