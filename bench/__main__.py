"""`make bench`: compares EitherDB with the raw drivers on each database, and with its targets.

With QUICK=1 in the environment it is all done in less than three minutes, less exactly, and what is written
goes to `build/` and not into the repository.
"""

from __future__ import annotations

import json
import os
import platform
import statistics
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from bench.chart import chart
from bench.contenders import ROOT, Contender, Server, baselines, product, serving
from bench.data import Data
from bench.databases import TITLES, Database, running
from bench.machine import resident_bytes, run, running_on
from bench.results import Result, Target, median, shown, table
from bench.rounds import CONCURRENCY, Requests, all_serving, check_answers, in_turns, measure, requests_for
from bench.startup import import_milliseconds, start_seconds
from bench.workloads import WORKLOADS

QUICK = os.environ.get("QUICK") == "1"
ROUNDS = 3 if QUICK else 5
SECONDS = 0.25 if QUICK else 1.0
USERS, ITEMS = 10_000, 100_000
CROWD = 256
CROWD_SECONDS = 1 if QUICK else 2

_ROWS = {
    "postgres": {"read": 0.60, "list": 0.95, "create": 0.60},
    "mongo": {"read": 0.90, "list": 0.95, "create": 0.80},
    "sqlite": {"read": 0.50, "list": 0.95},
}
RATIOS = {
    database: {**ratios, **{f"{name}10": ratio for name, ratio in ratios.items()}}
    for database, ratios in _ROWS.items()
}
RATIOS["postgres"]["transfer"] = 0.65
RATIOS["mongo"]["transfer"] = 0.80
"""Targets: requests per second relative to Starlette with the raw driver on the same core. A declared
resource with ten fields has those of items."""
TAIL = 4.0
"""Target: the highest ratio of p99 to p50."""
STARVED = 10.0
"""Target: the highest ratio of the slowest response to p50. A starved request exceeds it."""
START_SECONDS = 1.0
RESIDENT_MB = 110.0
TWO_WORKERS = 1.6
PACKAGES = (
    "fastapi",
    "starlette",
    "pydantic",
    "uvicorn",
    "uvloop",
    "asyncpg",
    "aiosqlite",
    "pymongo",
    "motor",
)


@dataclass
class Report:
    """The results of a run."""

    results: list[Result] = field(default_factory=list)
    targets: list[Target] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def say(self, text: str) -> None:
        """Print the line and store it."""
        print(text, flush=True)
        self.notes.append(text)


def main(core: int, other: int) -> None:
    """Run all benchmarks; print and write the results."""
    report = Report()
    began = time.perf_counter()
    data = Data.of(users=USERS, items=ITEMS)
    with tempfile.TemporaryDirectory(prefix="edb-") as name:
        for database_name in TITLES:
            with running(database_name, data) as database:
                measure_database(report, database, Path(name), core)
                if database_name == "postgres":
                    measure_workers(report, database, Path(name), core, other)
    print(f"\n{table(('', 'target', 'measured', 'met'), (each.row() for each in report.targets))}")
    write(report)
    print(f"\n{time.perf_counter() - began:.0f} s in all")


def measure_database(report: Report, database: Database, folder: Path, core: int) -> None:
    """Measure EitherDB and the baselines on one database."""
    drivers = ("pymongo", "motor") if database.name == "mongo" else ("",)
    products = [product(database.name, driver) for driver in drivers]
    requests = requests_for(database, WORKLOADS)
    with all_serving([*products, *baselines(database.name)], database, folder, core) as servers:
        check_answers(servers, requests)
        results = in_turns(servers, database, requests, rounds=ROUNDS, seconds=SECONDS)
        print(f"\n{TITLES[database.name]}, {CONCURRENCY} connections, {ROUNDS} rounds of {SECONDS} s\n")
        print(shown(results), flush=True)
        report.results += results
        compare_ratios(report, results, products[0])
        for server in servers[: len(products)]:
            measure_crowd(report, server, database, requests)
            resident = resident_bytes(server.pid) / 1e6
            name = f"{TITLES[database.name]}: {server.contender.name}"
            report.targets.append(Target(f"{name}, resident memory", RESIDENT_MB, resident, " MB"))
    for each in products:
        seconds = start_seconds(each, database, folder, core, times=ROUNDS)
        name = f"{TITLES[database.name]}: {each.name}"
        report.targets.append(Target(f"{name}, start to first answer", START_SECONDS, seconds, " s"))
    total, heaviest = import_milliseconds(database.name, folder)
    most = ", ".join(f"{package} {milliseconds:.0f}" for package, milliseconds in heaviest.items())
    report.say(f"\nImports for {TITLES[database.name]}: {total:.0f} ms as Python counts them, of it {most}")


def compare_ratios(report: Report, results: Sequence[Result], promised: Contender) -> None:
    """Compare the results with the targets, which are for one driver per database."""
    for result in results:
        name = f"{TITLES[result.database]}: {result.contender}, {result.workload}"
        ratio = RATIOS[result.database].get(result.workload)
        if result.contender == promised.name and ratio is not None:
            report.targets.append(Target(f"{name}, ratio", ratio, result.ratio, at_least=True))
        if result.contender.startswith("EitherDB") and result.workload != "hello":
            found = result.median
            report.targets.append(Target(f"{name}, p99 / p50", TAIL, found.p99_ms / found.p50_ms))


def measure_crowd(report: Report, server: Server, database: Database, requests: Requests) -> None:
    """Check that no request starves when there are many more clients than connections."""
    for workload in ("read", "transfer"):
        samples = [
            measure(server, database, requests[workload], seconds=CROWD_SECONDS, concurrency=CROWD)
            for _ in range(ROUNDS // 2)
        ]
        found = median(samples)
        name = f"{TITLES[database.name]}: {server.contender.name}, {workload}, {CROWD} connections"
        report.say(
            f"{name}: {found.per_second:,.0f} req/s, p50 {found.p50_ms:.0f} ms, "
            f"p99 {found.p99_ms:.0f} ms, max {found.max_ms:.0f} ms"
        )
        report.targets.append(Target(f"{name}, max / p50", STARVED, found.max_ms / found.p50_ms))


def measure_workers(report: Report, database: Database, folder: Path, core: int, other: int) -> None:
    """Compare one worker on one core with two on two; the load runs on the same cores, as a proxy would."""
    requests = requests_for(database, ("hello", "read"))
    contender = product(database.name)
    with (
        serving(contender, database, folder, cores=(core,)) as one,
        serving(contender, database, folder, cores=(core, other), workers=2) as two,
    ):
        for workload, some in requests.items():
            rates = []
            for _ in range(ROUNDS):
                with running_on(core):
                    alone = measure(one, database, some, seconds=SECONDS)
                with running_on(core, other):
                    both = measure(two, database, some, seconds=SECONDS)
                rates.append((alone.per_second, both.per_second))
            gain = statistics.median(second / first for first, second in rates)
            first, second = (statistics.median(column) for column in zip(*rates, strict=True))
            name = f"{TITLES[database.name]}: two workers on two cores, {workload}"
            report.say(f"{name}: {second:,.0f} req/s, {gain:.2f} times the {first:,.0f} of one on one")
            if workload == "hello":
                report.targets.append(Target(f"{name}, of one", TWO_WORKERS, gain, at_least=True))


def write(report: Report) -> None:
    """Write the results and their chart."""
    folder = ROOT / "build" / "bench" if QUICK else Path(__file__).parent / "results"
    folder.mkdir(parents=True, exist_ok=True)
    found = {
        "date": f"{datetime.now(UTC):%Y-%m-%d}",
        "python": platform.python_version(),
        "versions": {name: version(name) for name in PACKAGES},
        "connections": CONCURRENCY,
        "rounds": ROUNDS,
        "seconds": SECONDS,
        "results": [asdict(result) for result in report.results],
        "targets": [asdict(target) | {"met": target.met} for target in report.targets],
        "notes": report.notes,
    }
    (folder / "results.json").write_text(json.dumps(found, indent=1) + "\n")
    (folder / "results.svg").write_text(chart(report.results, TITLES, caption_of(found)))
    print(f"\nWritten to {folder.relative_to(ROOT)}")


def caption_of(found: dict[str, Any]) -> str:
    """Return the date and the versions of the run."""
    versions = ", ".join(f"{name} {number}" for name, number in found["versions"].items())
    return f"{found['date']}, Python {found['python']}, {versions}"


if __name__ == "__main__":
    run(main)
