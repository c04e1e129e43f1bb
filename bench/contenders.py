"""The servers under test: EitherDB and the baselines, each one process pinned to a core."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from bench.machine import running_on
from bench.workloads import SECRET_KEY

if TYPE_CHECKING:
    from bench.databases import Database

ROOT = Path(__file__).parents[1]
DECLARED = ROOT / "bench" / "declared"
"""The declared resource that EitherDB serves."""

START_SECONDS = 60
_HELLO = b"GET /api/v1/utils/health-check/ HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"


@dataclass(frozen=True)
class Contender:
    """A server under test on a database.

    Attributes:
        name: What the results call it.
        database: As in DB_BACKEND.
        framework: `bench.baselines.__main__` takes it; None for EitherDB itself.
        driver: As in MONGO_DRIVER.
        environment: More settings.
    """

    name: str
    database: str
    framework: str | None = None
    driver: str = "pymongo"
    environment: Mapping[str, str] = field(default_factory=dict)


def product(
    database: str, driver: str = "pymongo", *, environment: Mapping[str, str] | None = None
) -> Contender:
    """Return EitherDB on a database, with more settings."""
    name = f"EitherDB, {driver}" if database == "mongo" else "EitherDB"
    return Contender(name, database, driver=driver, environment=environment or {})


def baselines(database: str) -> list[Contender]:
    """Return the baselines on a database; the ratios refer to the first."""
    return [
        Contender("Starlette, raw driver", database, "starlette"),
        Contender("FastAPI, raw driver", database, "fastapi"),
    ]


@dataclass(frozen=True)
class Server:
    """A running contender.

    Attributes:
        start_seconds: From the start of the process to its first answer.
    """

    contender: Contender
    pid: int
    port: int
    start_seconds: float


@contextmanager
def serving(
    contender: Contender, database: Database, folder: Path, *, cores: tuple[int, ...], workers: int = 1
) -> Iterator[Server]:
    """Run the server on these cores for the duration of the block.

    Args:
        contender: The server under test.
        database: Its database.
        folder: The folder for the bytecode, which later starts reuse, and for the server's log.
        cores: The cores that the server is pinned to.
        workers: The number of worker processes.

    Raises:
        RuntimeError: The server does not respond.
    """
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    if contender.framework is None:
        command = ["-m", "cli.main", "serve", "--port", str(port), "--workers", str(workers)]
    else:
        command = ["-m", "bench.baselines", contender.database, contender.framework, str(port)]
    log = folder / f"{port}.log"
    began = time.perf_counter()
    with log.open("wb") as output, running_on(*cores):
        process = subprocess.Popen(
            [sys.executable, *command],
            cwd=folder,
            env=_environment(contender, database, folder),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    try:
        while not _answers(port):
            if process.poll() is not None or time.perf_counter() - began > START_SECONDS:
                raise RuntimeError(f"{contender.name} does not answer:\n{log.read_text()[-2000:]}")
            time.sleep(0.002)
        yield Server(contender, process.pid, port, time.perf_counter() - began)
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def _environment(contender: Contender, database: Database, folder: Path) -> dict[str, str]:
    """Return the environment of a deployment, without variables of this process that are settings."""
    return {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": str(ROOT),
        "PYTHONPYCACHEPREFIX": str(folder / "bytecode"),
        "ENVIRONMENT": "production",
        "SECRET_KEY": SECRET_KEY,
        "DB_BACKEND": contender.database,
        "DATABASE_URL": database.url,
        "MONGO_DRIVER": contender.driver,
        "RESOURCES": str(DECLARED),
        **contender.environment,
    }


def _answers(port: int) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=5) as connection:
            connection.sendall(_HELLO)
            return b" 200 " in connection.recv(1024)
    except OSError:
        return False
