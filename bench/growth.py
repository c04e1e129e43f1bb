"""`make bench-growth`: the cost of a request as the tables and the number of connections grow.

The cost is CPU time, of EitherDB and of the database together: waiting costs nothing, and other work on the
machine hardly shows. What reads a page or looks something up may not cost more with more rows.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from bench.contenders import product, serving
from bench.data import ITEMS_OF_AN_OWNER, Data
from bench.databases import TITLES, Database, running
from bench.machine import run
from bench.results import Sample, Target, median, table
from bench.rounds import measure, requests_for

ROWS = (10_000, 100_000, 1_000_000)
CONNECTIONS = (1, 32, 256)
CREATORS = 1_000
ROUNDS = 3
SECONDS = 1.0
GROWTH = 1.5
"""The highest ratio of a request's cost on a hundred times as many rows."""
WORKLOADS = ("read", "list", "all", "create", "transfer")


def main(core: int, _: int) -> None:
    """Measure each database with each number of rows, and the smallest with each number of connections."""
    targets: list[Target] = []
    with tempfile.TemporaryDirectory(prefix="edb-") as folder:
        for name in TITLES:
            costs = {rows: costs_on(name, rows, Path(folder), core) for rows in ROWS}
            print(f"\n{TITLES[name]}: CPU ms a request, EitherDB + database\n")
            heads = ("", *(f"{rows:,} items" for rows in ROWS))
            print(
                table(
                    heads,
                    (
                        [workload, *(_shown(costs[rows][workload]) for rows in ROWS)]
                        for workload in WORKLOADS
                    ),
                ),
                flush=True,
            )
            for workload in WORKLOADS:
                small, large = (_cost(costs[rows][workload]) for rows in (ROWS[0], ROWS[-1]))
                what = f"{TITLES[name]}: {workload}, cost on {ROWS[-1]:,} rows / on {ROWS[0]:,}"
                targets.append(Target(what, GROWTH, large / small))
    print(f"\n{table(('', 'target', 'measured', 'met'), (target.row() for target in targets))}")
    if not all(target.met for target in targets):
        sys.exit("Something grows with the table.")


def costs_on(name: str, rows: int, folder: Path, core: int) -> dict[str, Sample]:
    """Return the cost of each workload; with the fewest rows, print the cost with more connections."""
    data = Data.of(users=max(10_000, rows // ITEMS_OF_AN_OWNER + CREATORS), items=rows)
    with (
        running(name, data) as database,
        serving(product(name), database, folder, cores=(core,)) as server,
    ):
        requests = requests_for(database, WORKLOADS)

        def cost(workload: str, connections: int) -> Sample:
            return median(
                [
                    measure(server, database, requests[workload], seconds=SECONDS, concurrency=connections)
                    for _ in range(ROUNDS)
                ]
            )

        for workload in WORKLOADS:
            measure(server, database, requests[workload], seconds=SECONDS)
        if rows == ROWS[0]:
            _print_connections(database, {n: {w: cost(w, n) for w in WORKLOADS} for n in CONNECTIONS})
        return {workload: cost(workload, CONNECTIONS[1]) for workload in WORKLOADS}


def _print_connections(database: Database, costs: dict[int, dict[str, Sample]]) -> None:
    print(f"\n{TITLES[database.name]}: CPU ms a request, EitherDB + database (p50 / p99 / max ms)\n")
    heads = ("", *(f"{connections} connections" for connections in costs))
    rows = [
        [workload, *(f"{_shown(each[workload])} ({_times(each[workload])})" for each in costs.values())]
        for workload in WORKLOADS
    ]
    print(table(heads, rows), flush=True)


def _cost(sample: Sample) -> float:
    return sample.cpu_ms + sample.database_cpu_ms


def _shown(sample: Sample) -> str:
    return f"{sample.cpu_ms:.2f} + {sample.database_cpu_ms:.2f}"


def _times(sample: Sample) -> str:
    return f"{sample.p50_ms:.0f} / {sample.p99_ms:.0f} / {sample.max_ms:.0f}"


if __name__ == "__main__":
    run(main)
