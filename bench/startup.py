"""The cost of a start: time to the first response, imports, and both compared with the baseline.

`python -m bench.startup` compares a start on SQLite, with the declared resources of `examples/library`,
with that of FastAPI, the raw driver and five routes.
"""

from __future__ import annotations

import shutil
import statistics
import subprocess
import sys
import tempfile
from collections import defaultdict
from pathlib import Path

from bench.contenders import ROOT, Contender, baselines, product, serving
from bench.data import Data
from bench.databases import Database, running
from bench.machine import cpu_seconds, run

_MODULES = "import cli.commands, cli.serve, uvicorn, api.app, backends.{kind}.backend"
HEAVIEST = 6
ROUNDS = 15
RATIO = 1.25
"""Target: a start relative to that of the baseline."""


def start_seconds(
    contender: Contender, database: Database, folder: Path, core: int, *, times: int
) -> float:
    """Return the median time from the start of the process to its first response, in seconds."""
    starts = []
    for _ in range(times):
        with serving(contender, database, folder, cores=(core,)) as server:
            starts.append(server.start_seconds)
    return statistics.median(starts)


def import_milliseconds(database: str, folder: Path) -> tuple[float, dict[str, float]]:
    """Return the time of a server's imports, and the packages that take most of it.

    Servers have run before, so that the bytecode is there.
    """
    kind = "mongo" if database == "mongo" else "sql"
    command = [sys.executable, "-X", "importtime", "-c", _MODULES.format(kind=kind)]
    environment = {"PYTHONPATH": str(ROOT), "PYTHONPYCACHEPREFIX": str(folder / "bytecode")}
    written = subprocess.run(
        command, env=environment, cwd=folder, capture_output=True, text=True, check=True
    ).stderr
    packages: dict[str, float] = defaultdict(float)
    for line in written.splitlines():
        own, _, name = line.removeprefix("import time:").split("|")
        if own.strip().isdigit():
            packages[name.strip().partition(".")[0]] += int(own) / 1000
    heaviest = sorted(packages, key=lambda name: -packages[name])[:HEAVIEST]
    return sum(packages.values()), {name: packages[name] for name in heaviest}


def start_ratios(
    ours: Contender, baseline: Contender, database: Database, folder: Path, core: int, *, rounds: int
) -> tuple[float, float]:
    """Return our time and CPU time from start to first response, relative to the baseline's.

    Both start in turns; each ratio is the median of the rounds.
    """
    times, cpu_times = [], []
    for _ in range(rounds):
        found = []
        for contender in (ours, baseline):
            with serving(contender, database, folder, cores=(core,)) as server:
                found.append((server.start_seconds, cpu_seconds([server.pid])))
        (our_time, our_cpu), (time, cpu) = found
        times.append(our_time / time)
        cpu_times.append(our_cpu / cpu)
    return statistics.median(times), statistics.median(cpu_times)


def main(core: int, _: int) -> None:
    """Compare, and print the ratios."""
    with tempfile.TemporaryDirectory(prefix="edb-") as name:
        folder = Path(name)
        shutil.copytree(ROOT / "examples" / "library", folder / "library")
        declared = {"RESOURCES": "library/library.py"}
        with running("sqlite", Data.of(users=2, items=1)) as database:
            environment = {"DATABASE_URL": database.url, "PYTHONPATH": str(ROOT), **declared}
            command = [sys.executable, "-m", "cli.main", "migrate", "upgrade"]
            subprocess.run(command, cwd=folder, env=environment, check=True)
            ours, baseline = product("sqlite", environment=declared), baselines("sqlite")[1]
            start_ratios(ours, baseline, database, folder, core, rounds=1)  # writes the bytecode
            time, cpu = start_ratios(ours, baseline, database, folder, core, rounds=ROUNDS)
    print(
        f"Start to first answer, three resources, relative to {baseline.name}: "
        f"{time:.2f}, CPU time {cpu:.2f} (target: at most {RATIO})"
    )


if __name__ == "__main__":
    run(main)
