"""Stops a migrator between two of its writes."""

from __future__ import annotations

import asyncio
import os
import pickle
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from signal import SIGKILL
from tempfile import TemporaryDirectory
from typing import Any, Literal

import pytest
from sqlalchemy import Engine, event

from backends.mongo.schema import MIGRATIONS_LOCK
from config import Settings
from migrations import MigrationError, open_migrator
from migrations.resources.history import History
from tests.backends.raw import mongo_database
from tests.migrations.mongo_writes import StoppedError, before_writes

_WRITES = ("CREATE ", "ALTER ", "DROP ", "INSERT ", "DELETE ", "UPDATE ", "COMMIT", "RELEASE ")


@dataclass(frozen=True)
class Stop:
    """Where and how a migrator stops.

    Attributes:
        before: The number of its writes that happen before.
        how: `error`: an error is raised instead of the write. `cut`: PostgreSQL's connection is aborted.
            `kill`: the migrator is a process of its own, which ends with SIGKILL.
    """

    before: int
    how: Literal["error", "cut", "kill"] = "error"


class _Counter:
    """Counts writes, and stops before one."""

    def __init__(self, stop: Stop) -> None:
        self._stop, self._writes = stop, 0
        self.has_stopped = False

    def __call__(self, connection: Any = None) -> None:
        if self._writes == self._stop.before:
            self.has_stopped = True
            driver: Any = getattr(getattr(connection, "connection", None), "driver_connection", None)
            if self._stop.how != "cut" or not hasattr(driver, "terminate"):
                raise StoppedError
            driver.terminate()
        self._writes += 1


async def stopped(stop: Stop, settings: Settings, history: History, way: str, target: str) -> bool:
    """Run a migrator; return whether it was stopped before it was done.

    Raises:
        MigrationError: As the migrator.
    """
    if stop.how == "kill":
        return await _killed(stop, settings, history, way, target)
    migrator = open_migrator(settings, [history])
    counter = _Counter(stop)
    try:
        with _counted(counter):
            await getattr(migrator, way)(target)
    except Exception:  # an aborted connection raises errors of many kinds
        if not counter.has_stopped:
            raise
    return counter.has_stopped


@contextmanager
def _counted(counter: _Counter) -> Iterator[None]:
    """Call the counter before each write of a migrator in this process, whatever the database."""

    def on_statement(connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        if statement.lstrip().startswith(_WRITES):
            counter(connection)

    async def on_command(_: str) -> None:
        counter()

    event.listen(Engine, "before_cursor_execute", on_statement)
    event.listen(Engine, "commit", counter)
    try:
        with pytest.MonkeyPatch.context() as patch, before_writes(on_command, patch):
            yield
    finally:
        event.remove(Engine, "before_cursor_execute", on_statement)
        event.remove(Engine, "commit", counter)


async def _killed(stop: Stop, settings: Settings, history: History, way: str, target: str) -> bool:
    """Run a migrator in a process that kills itself; return whether it did."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / "call"
        path.write_bytes(pickle.dumps((stop, settings, history, way, target)))
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", __name__, str(path), stderr=asyncio.subprocess.PIPE
        )
        _, error = await process.communicate()
    if process.returncode not in {0, -SIGKILL}:
        raise MigrationError(error.decode().strip().splitlines()[-1].partition(": ")[2])
    if settings.db_backend == "mongo":
        async with mongo_database(settings) as database:
            # The next migrator would wait for the lease of the dead one to expire.
            await database[MIGRATIONS_LOCK].delete_many({})
    return process.returncode != 0


class _Killer(_Counter):
    def __call__(self, connection: Any = None) -> None:
        try:
            super().__call__(connection)
        except StoppedError:
            os.kill(os.getpid(), SIGKILL)


async def _main(stop: Stop, settings: Settings, history: History, way: str, target: str) -> None:
    with _counted(_Killer(stop)):
        await getattr(open_migrator(settings, [history]), way)(target)


if __name__ == "__main__":
    asyncio.run(_main(*pickle.loads(Path(sys.argv[1]).read_bytes())))  # noqa: S301 - of this module
