"""Runs tests against each planted fault; a fault that survives fails the run.

    python -m tests.faults              all of them
    python -m tests.faults cursor       those in whose description that stands

Each is planted in a copy of the project. The test file that should catch it runs first. A fault that
passes it survives if it also passes the contract suite and the differential suite. Servers are started
once, and every run makes databases of its own.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.faults import (
    blocking,
    connections,
    mapped,
    migrations,
    mongo,
    neutral,
    passwords,
    resource_api,
    resources,
    sql,
)
from tests.faults.fault import DIFFERENTIAL, ROOT, Fault
from tests.provision import Servers

CATALOGUE = [
    fault
    for module in (
        blocking,
        connections,
        mapped,
        migrations,
        mongo,
        neutral,
        passwords,
        resource_api,
        resources,
        sql,
    )
    for fault in module.FAULTS
]
PARTS = (
    *("api", "backends", "cli", "config", "docs", "eitherdb", "eitherdb_contract", "migrations", "tests"),
    *("examples", "pyproject.toml", "README.md"),
)
SUITES = ("tests/contract", DIFFERENTIAL)
JOBS = int(os.environ.get("FAULTS_JOBS") or 2)
LIMIT_SECONDS = 1800


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of a fault: the first test that failed, or None; and how long that took."""

    fault: Fault
    caught_by: str | None
    seconds: float


def copy_project(target: Path) -> None:
    """Copy what the tests need of the project."""
    for part in PARTS:
        source = ROOT / part
        if source.is_dir():
            shutil.copytree(source, target / part, symlinks=True)
        else:
            shutil.copy2(source, target / part)


def try_fault(fault: Fault, environment: dict[str, str]) -> Verdict:
    """Plant a fault in a copy, and run tests until one fails."""
    begun = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="edb-fault-") as folder:
        root = Path(folder) / "project"
        root.mkdir()
        copy_project(root)
        fault.plant(root)
        caught_by = None
        for suites in ((fault.first,), SUITES):
            caught_by = first_failure(root, suites, fault, environment)
            if caught_by is not None:
                break
    return Verdict(fault, caught_by, time.monotonic() - begun)


def first_failure(
    root: Path, suites: tuple[str, ...], fault: Fault, environment: dict[str, str]
) -> str | None:
    """Run test files in a copy until a test fails; return its name.

    Raises:
        RuntimeError: They could not be run, which is no way to catch a fault.
    """
    done = subprocess.run(  # noqa: S603 - this module's own words
        [
            *(sys.executable, "-m", "pytest", *suites, "--backends", fault.backends),
            *("-n0", "-x", "-q", "--tb=no", "-p", "no:cacheprovider"),
        ],
        cwd=root,
        env={**os.environ, **environment, "PYTHONPATH": str(root), "DIFFERENTIAL_SHRINK": "0"},
        capture_output=True,
        text=True,
        timeout=LIMIT_SECONDS,
        check=False,
    )
    if done.returncode == 0:
        return None
    failed = [line for line in done.stdout.splitlines() if line.startswith(("FAILED ", "ERROR "))]
    if done.returncode != 1 or not failed:
        raise RuntimeError(f"{fault.what}: the tests did not run\n{done.stdout}\n{done.stderr}")
    return failed[0].partition(" ")[2].partition(" - ")[0]


@contextmanager
def cancelling(pool: ThreadPoolExecutor) -> Iterator[None]:
    """Begin nothing more once something went wrong."""
    try:
        yield
    except BaseException:
        pool.shutdown(wait=False, cancel_futures=True)
        raise


def main(words: list[str]) -> int:
    """Try the faults whose descriptions contain one of the words, or all; return the exit code."""
    faults = [fault for fault in CATALOGUE if not words or any(word in fault.what for word in words)]
    servers = Servers()
    caught = 0
    try:
        environment = {
            "EITHERDB_TEST_POSTGRES_URL": servers.postgres_url,
            "EITHERDB_TEST_MONGO_URL": servers.mongo_url,
        }
        with ThreadPoolExecutor(JOBS) as pool, cancelling(pool):
            tries = [pool.submit(try_fault, fault, environment) for fault in faults]
            for number, future in enumerate(as_completed(tries), 1):
                caught += (verdict := future.result()).caught_by is not None
                outcome = f"caught by {verdict.caught_by}" if verdict.caught_by else "SURVIVES"
                said = f"{number}/{len(faults)} {verdict.fault.what}: {outcome} ({verdict.seconds:.0f} s)"
                print(said, flush=True)
    finally:
        servers.stop()
    print(f"{caught} of {len(faults)} planted faults were caught")
    return 0 if faults and caught == len(faults) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
