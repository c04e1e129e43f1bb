"""The processes that tests kill: `eitherdb serve` and the database servers."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import tempfile
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path

from backends.cancellation import run_to_completion
from cli.local_servers import LocalServer, start_mongo, start_postgres
from config import Settings
from tests.cli.command import EITHERDB, Serving, environment, free_port, is_healthy, until
from tests.provision import make_settings

SUPERUSER = "root@example.com"
PASSWORD = "correct horse battery"

# On a busy machine 64 clients wait long for one account. A connection to a dead server fails early.
LIMITS = {"DB_POOL_TIMEOUT_SECONDS": "60", "DB_CONNECT_TIMEOUT_SECONDS": "2"}


class Serve:
    """`eitherdb serve` on a fixed port, which a restart keeps."""

    def __init__(self, folder: Path, settings: Settings) -> None:
        """Take the working folder and the settings of the database."""
        self._folder, self._settings = folder, settings
        self._port = free_port()
        self.url = f"http://127.0.0.1:{self._port}"
        self._log = folder / f"serve-{self._port}.log"
        self._process: subprocess.Popen[bytes] | None = None

    async def start(self) -> None:
        """Start it; wait for its first response."""
        variables = environment(
            self._folder,
            self._settings,
            PYTHONUNBUFFERED="1",
            FIRST_SUPERUSER=SUPERUSER,
            FIRST_SUPERUSER_PASSWORD=PASSWORD,
            **LIMITS,
        )
        with self._log.open("ab") as output:
            process = subprocess.Popen(  # noqa: ASYNC220, S603 - returns at once; the installed command
                [EITHERDB, "serve", "--port", str(self._port)],
                cwd=self._folder,
                env=variables,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        self._process = process
        server = Serving(self.url, process, self._log)
        await until(lambda: process.poll() is not None or is_healthy(self.url), server, seconds=60)
        assert process.poll() is None, self.output

    async def kill(self) -> None:
        """Kill it with SIGKILL."""
        assert self._process is not None
        assert self._process.poll() is None, f"it is dead already:\n{self.output}"
        os.killpg(self._process.pid, signal.SIGKILL)
        assert await asyncio.to_thread(self._process.wait, 10) == -signal.SIGKILL

    def end(self) -> None:
        """Kill it if it runs, and release its resources."""
        if self._process is not None:
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait(10)

    @property
    def output(self) -> str:
        """Its output so far."""
        return self._log.read_text()


@asynccontextmanager
async def two_servers(settings: Settings) -> AsyncIterator[list[Serve]]:
    """Run two services on one migrated database."""
    with short_folder() as folder:
        servers = [Serve(folder, settings) for _ in range(2)]
        try:
            await servers[0].start()  # it creates the superuser
            await servers[1].start()
            yield servers
        finally:
            for server in servers:
                server.end()


@contextmanager
def short_folder() -> Iterator[Path]:
    """Create a folder with a short path, because the paths of Unix sockets are limited."""
    with tempfile.TemporaryDirectory(prefix="edb-") as folder:
        yield Path(folder)


class OwnDatabase(ABC):
    """A database server for one test, which keeps its address after a restart."""

    settings: Settings

    @abstractmethod
    async def start(self) -> None:
        """Start it; wait until it accepts writes."""

    @abstractmethod
    async def kill(self) -> None:
        """Kill all its processes with SIGKILL."""

    @abstractmethod
    def end(self) -> None:
        """Kill it if it runs, and release its resources."""


class OwnServer(OwnDatabase):
    """PostgreSQL, or MongoDB as a replica set of one node."""

    def __init__(self, folder: Path, name: str) -> None:
        """Take an empty folder and the backend's name in the tests."""
        self._folder, self._name = folder, name
        self._server: LocalServer | None = None

    async def start(self) -> None:
        """See `OwnDatabase`."""
        # Not cancellable, or a load that fails meanwhile would leave the server behind.
        await run_to_completion(asyncio.to_thread(self._start))

    def _start(self) -> None:
        start = start_postgres if self._name == "postgres" else start_mongo
        server = start(self._folder)
        assert self._server is None or self._server.url == server.url, "it came back somewhere else"
        self._server = server
        base, question_mark, options = server.url.partition("?")
        kind, _, driver = self._name.partition("-")
        self.settings = make_settings(
            db_backend=kind,
            database_url=base + ("" if kind == "postgres" else "proof") + question_mark + options,
            mongo_driver=driver or "motor",
        )

    async def kill(self) -> None:
        """See `OwnDatabase`."""
        assert self._server is not None
        kill_all(self._server.pid)
        await run_to_completion(asyncio.to_thread(self._server.stop))  # reaps it and releases its folder

    def end(self) -> None:
        """See `OwnDatabase`."""
        if self._server is not None:
            self._server.stop()


def kill_all(pid: int) -> None:
    """Kill a process and its children with SIGKILL."""
    os.kill(pid, signal.SIGSTOP)  # so that it forks no more children
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    for each in (pid, *map(int, children)):
        with suppress(ProcessLookupError):  # a child may end by itself
            os.kill(each, signal.SIGKILL)


@asynccontextmanager
async def own_database(name: str) -> AsyncIterator[tuple[Settings, OwnServer | None]]:
    """Make a database for one test, on a server of its own unless it is SQLite's."""
    with short_folder() as folder:
        if name == "sqlite":
            yield make_settings(db_backend="sqlite", database_url=f"sqlite:///{folder / 'proof.db'}"), None
            return
        server = OwnServer(folder / "data", name)
        try:
            await server.start()
            yield server.settings, server
        finally:
            server.end()
