"""The cost of a blocking call: `eitherdb.open_blocking` relative to `await` on the same database.

`python -m bench.blocking` prints the CPU time of the process and the time of a call, and the calls a second
of several threads. `make bench-check` compares the ratios of CPU time with the reference.
"""

from __future__ import annotations

import asyncio
import statistics
import time
from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import cycle
from typing import Any

import uvloop

import eitherdb
from backends.protocols import Backend
from bench.contenders import DECLARED
from bench.data import Data
from bench.databases import TITLES, Database, running
from bench.machine import run
from bench.results import table
from config import MongoDriver
from eitherdb import blocking
from eitherdb.models import NewItem
from tests.provision import make_settings

WORKLOADS = ("read", "list", "create")
ROUNDS, CALLS = 16, 150
"""Rounds in which both take turns, and the calls of each in a round."""

THREADS = 8
USERS, ITEMS = 100, 2_000


@dataclass(frozen=True)
class Cost:
    """The cost of a call: CPU time of this process, and time, in microseconds."""

    cpu: float
    wall: float


class Calls:
    """The calls of a workload, on rows of the benchmark's data."""

    def __init__(self, data: Data) -> None:
        self._ids = cycle(map(str, data.items))
        self._owners = cycle(str(data.owner_of(number)) for number in range(len(data.items)))
        self._creator = str(data.users[-1])

    def awaited(self, workload: str, db: Backend) -> Callable[[], Coroutine[Any, Any, object]]:
        """Return a function that makes the next call with `await`."""
        return {
            "read": lambda: db.items.get(next(self._ids)),
            "list": lambda: db.items.list(owner_id=next(self._owners)),
            "create": lambda: db.items.add(NewItem(title="new"), owner_id=self._creator),
        }[workload]

    def blocking(self, workload: str, db: blocking.Database) -> Callable[[], object]:
        """Return a function that makes the next call, and waits for its result."""
        return {
            "read": lambda: db.items.get(next(self._ids)),
            "list": lambda: db.items.list(owner_id=next(self._owners)),
            "create": lambda: db.items.add(NewItem(title="new"), owner_id=self._creator),
        }[workload]


class Contest:
    """Both ways to call, on one database."""

    def __init__(self, runner: asyncio.Runner, backend: Backend, db: blocking.Database, data: Data) -> None:
        self._runner, self._backend, self._db = runner, backend, db
        self._calls = Calls(data)

    def costs(self, workload: str, *, rounds: int) -> tuple[Cost, Cost]:
        """Return the medians of the awaited calls and of the blocking ones, which take turns."""
        awaited = self._calls.awaited(workload, self._backend)
        waiting = self._calls.blocking(workload, self._db)

        async def await_all() -> None:
            for _ in range(CALLS):
                await awaited()

        def wait_for_all() -> None:
            for _ in range(CALLS):
                waiting()

        found: tuple[list[Cost], list[Cost]] = ([], [])
        for number in range(rounds + 1):  # the first warms up
            costs = (_cost(lambda: self._runner.run(await_all())), _cost(wait_for_all))
            for each, cost in zip(found, costs, strict=True):
                each.extend([cost] if number else [])
        first, second = (
            Cost(
                statistics.median(each.cpu for each in some), statistics.median(each.wall for each in some)
            )
            for some in found
        )
        return first, second

    def per_second(self, workload: str) -> float:
        """Return the blocking calls a second of several threads."""
        waiting = self._calls.blocking(workload, self._db)
        with ThreadPoolExecutor(THREADS) as pool:
            began = time.perf_counter()
            for each in [pool.submit(waiting) for _ in range(THREADS * CALLS)]:
                each.result()
            return THREADS * CALLS / (time.perf_counter() - began)


def _cost(work: Callable[[], object]) -> Cost:
    cpu, wall = time.process_time(), time.perf_counter()
    work()
    scale = 1e6 / CALLS
    return Cost((time.process_time() - cpu) * scale, (time.perf_counter() - wall) * scale)


@contextmanager
def contest(database: Database, driver: MongoDriver = "pymongo") -> Iterator[Contest]:
    """Open the database in both ways."""
    settings = make_settings(
        db_backend=database.name,
        database_url=database.url,
        mongo_driver=driver,
        resources=str(DECLARED),
    )
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        opening = eitherdb.open_backend(settings)
        backend = runner.run(opening.__aenter__())
        try:
            with eitherdb.open_blocking(settings) as db:
                yield Contest(runner, backend, db, database.data)
        finally:
            runner.run(opening.__aexit__(None, None, None))


def blocking_ratios(database: Database, *, rounds: int = ROUNDS) -> dict[str, float]:
    """Return the CPU time of an awaited call relative to that of a blocking one, by name."""
    with contest(database) as both:
        costs = {workload: both.costs(workload, rounds=rounds) for workload in WORKLOADS}
    return {
        f"{TITLES[database.name]}: blocking, {workload}": awaited.cpu / blocked.cpu
        for workload, (awaited, blocked) in costs.items()
    }


def main(_: int, __: int) -> None:
    """Measure on each database, and print."""
    rows = []
    for name in TITLES:
        drivers: tuple[MongoDriver, ...] = ("pymongo", "motor") if name == "mongo" else ("pymongo",)
        with running(name, Data.of(users=USERS, items=ITEMS)) as database:
            for driver in drivers:
                title = f"{TITLES[name]}, {driver}" if name == "mongo" else TITLES[name]
                with contest(database, driver) as both:
                    for workload in WORKLOADS:
                        awaited, blocked = both.costs(workload, rounds=ROUNDS)
                        rows.append(
                            [
                                f"{title}: {workload}",
                                *(f"{each:.0f}" for each in (awaited.cpu, blocked.cpu)),
                                f"{blocked.cpu / awaited.cpu:.2f}",
                                *(f"{each:.0f}" for each in (awaited.wall, blocked.wall)),
                                f"{both.per_second(workload):,.0f}",
                            ]
                        )
    heads = (
        "",
        "CPU µs, await",
        "blocking",
        "ratio",
        "µs, await",
        "blocking",
        f"a second, {THREADS} threads",
    )
    print(table(heads, rows))


if __name__ == "__main__":
    run(main)
