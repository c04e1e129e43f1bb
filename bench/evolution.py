"""`python -m bench.evolution [postgres|mongo]`: requests while a revision is applied to a million rows.

A server of the revision before serves reads and creates, alternately a second each. Meanwhile `eitherdb
migrate upgrade` applies a revision to the same table.
"""

from __future__ import annotations

import itertools
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from bench.contenders import DECLARED, ROOT, Server, product, serving
from bench.data import Data
from bench.databases import TITLES, Database, running
from bench.load import Load, LoadError, load
from bench.machine import run
from bench.results import table
from bench.rounds import requests_for

if TYPE_CHECKING:
    from collections.abc import Iterator

ROWS = 1_000_000
CONNECTIONS = 4
SECONDS = 1.0
BEFORE = 4
"""The number of measurements of each workload before a revision."""
WORKLOADS = ("read10", "create10")

REVISIONS = {
    "Filterable": 'AddMarkers("products", "stock", ("filterable",))',
    "Sortable": 'AddMarkers("products", "released_on", ("sortable",))',
    "wider bounds": 'ChangeBounds("products", "sku", max_length=40)',
    "a choice": 'AddChoice("products", "state", "archived")',
    "a unique group": 'AddUnique("products", ("owner_id", "sku"))',
    "an optional field": (
        'AddField("products", FieldSpec(name="shelf", column="shelf", kind="text", max_length=9, '
        "nullable=True, required=False))"
    ),
    "narrower bounds": 'ChangeBounds("products", "stock", maximum=1_000)',
    "a narrower text": 'ChangeBounds("products", "description", max_length=400)',
    "never null": 'MakeRequired("products", "description", "Nothing is said")',
    "a removed choice, which half of the rows have": (
        'RemoveChoice("products", "state", "draft", instead="published")'
    ),
    "Searchable": 'AddMarkers("products", "sku", ("searchable",))',
    "a field with a value": (
        'AddField("products", FieldSpec(name="rank", column="rank", kind="integer", minimum=0, maximum=9, '
        "required=False, default=5), value=5)"
    ),
}
"""One operation each. After the last two, servers of the revision before may not create rows."""

FILE = '''"""{summary}."""

from eitherdb.migrations import AddChoice, AddField, AddMarkers, AddUnique, ChangeBounds, FieldSpec
from eitherdb.migrations import MakeRequired, RemoveChoice

HISTORY = "declared"

OPERATIONS = ({operation},)
'''


class Requests:
    """The requests of the workloads, in which no two products have one code."""

    def __init__(self, database: Database) -> None:
        """Make the requests for a database."""
        self._requests = requests_for(database, WORKLOADS)
        self._codes = itertools.count()

    def next(self, workload: str) -> Sequence[bytes]:
        """Return the requests of a measurement."""
        return [
            request.replace(b"AE-1837", b"%07d" % next(self._codes)) for request in self._requests[workload]
        ]


@dataclass
class Latencies:
    """The measurements of each workload, and the workloads of which a request was refused."""

    done: dict[str, list[Load]] = field(default_factory=dict)
    refused: set[str] = field(default_factory=set)

    def measure(self, server: Server, requests: Requests, workload: str) -> None:
        """Send requests for a second."""
        try:
            done = load(server.port, requests.next(workload), concurrency=CONNECTIONS, seconds=SECONDS)
        except LoadError:
            self.refused.add(workload)
        else:
            self.done.setdefault(workload, []).append(done)

    def shown(self, workload: str) -> str:
        """Return the greatest of the 99th percentiles, and the longest time, in milliseconds."""
        found = self.done.get(workload, [])
        text = "-"
        if found:
            longest = max(each.milliseconds[-1] for each in found)
            text = f"{max(each.percentile(99) for each in found):.0f} / {longest:.0f}"
        return f"{text}, then refused" if workload in self.refused else text


def main(core: int, _: int) -> None:
    """Apply each revision to each database that has a server."""
    with tempfile.TemporaryDirectory(prefix="edb-") as name:
        for database in sys.argv[1:] or ("postgres", "mongo"):
            print(f"\n{TITLES[database]}, {ROWS:,} rows; the 99th percentile / the longest, in ms\n")
            rows = list(_measured(database, Path(name), core))
            heads = ("revision", "applied in", *(f"{each}: before, meanwhile" for each in WORKLOADS))
            print(table(heads, rows), flush=True)


def _measured(name: str, folder: Path, core: int) -> Iterator[list[str]]:
    data = Data.of(users=ROWS // 500 + 1_001, items=ROWS)
    declared = folder / name / "declared"
    shutil.copytree(DECLARED, declared)
    with (
        running(name, data, tables=("users", "products")) as database,
        serving(product(name), database, folder, cores=(core,)) as server,
    ):
        requests = Requests(database)
        for number, (title, operation) in enumerate(REVISIONS.items(), start=2):
            before, meanwhile = Latencies(), Latencies()
            for workload in WORKLOADS * BEFORE:
                before.measure(server, requests, workload)
            file = declared / "migrations" / f"{number:04}_revision.py"
            file.write_text(FILE.format(summary=title, operation=operation))
            began = time.perf_counter()
            with _upgrading(database, declared) as process:
                while process.poll() is None:
                    for workload in WORKLOADS:
                        meanwhile.measure(server, requests, workload)
            seconds = time.perf_counter() - began
            shown = [f"{before.shown(each)}; {meanwhile.shown(each)}" for each in WORKLOADS]
            yield [title, f"{seconds:.0f} s", *shown]


@contextmanager
def _upgrading(database: Database, declared: Path) -> Iterator[subprocess.Popen[str]]:
    environment = {
        "PYTHONPATH": str(ROOT),
        "DB_BACKEND": database.name,
        "DATABASE_URL": database.url,
        "RESOURCES": str(declared),
    }
    command = [sys.executable, "-m", "cli.main", "migrate", "upgrade"]
    with subprocess.Popen(command, env=environment, cwd=declared.parent, text=True) as process:
        try:
            yield process
        finally:
            process.kill()
        if process.returncode:
            raise RuntimeError(f"the upgrade ended with {process.returncode}")


if __name__ == "__main__":
    run(main)
