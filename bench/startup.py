"""The cost of a start: time to the first response, imports, memory."""

from __future__ import annotations

import statistics
import subprocess
import sys
from collections import defaultdict
from pathlib import Path

from bench.contenders import ROOT, Contender, serving
from bench.databases import Database

_MODULES = "import cli.commands, cli.serve, uvicorn, api.app, backends.{kind}.backend"
HEAVIEST = 6


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
