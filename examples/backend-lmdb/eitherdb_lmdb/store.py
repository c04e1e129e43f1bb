"""The environment: opened once per process, used from threads, with one transaction per call."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

import lmdb

from backends.errors import BackendError, ForeignSchema, Unavailable
from config import Settings
from eitherdb_lmdb.keys import value_at, walk

T = TypeVar("T")
Work = Callable[[lmdb.Transaction], T]

MAP_BYTES = 2**36
"""The maximum size of the database. It takes address space, not disk space."""

READERS = 1024
"""The maximum number of concurrent read transactions of all processes."""

REVISION = "0001"
REVISION_KEY = b"schema_migrations"
HISTORY_PREFIX = b"resource_migrations:"

_opened: dict[Path, tuple[lmdb.Environment, int]] = {}
"""The open environments with their number of users: a process must not open one twice."""


def path_of(settings: Settings) -> Path:
    """Return the folder: `lmdb:///absolute/path`, `lmdb://relative/path`."""
    return Path(settings.url.partition("://")[2]).resolve()


def open_environment(path: Path) -> lmdb.Environment:
    """Return the environment in this folder, which is created if missing. `close_environment` releases it.

    Raises:
        Unavailable: The environment doesn't exist and can't be created.
    """
    environment, users = _opened.get(path, (None, 0))
    if environment is None:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            environment = lmdb.open(str(path), map_size=MAP_BYTES, max_readers=READERS)
        except (lmdb.Error, OSError) as exc:
            raise Unavailable(f"can't open {path}") from exc
    _opened[path] = environment, users + 1
    return environment


def close_environment(path: Path) -> None:
    """Close the environment if nothing else in this process uses it."""
    environment, users = _opened.pop(path)
    if users == 1:
        environment.close()
    else:
        _opened[path] = environment, users - 1


def applied_revision(transaction: lmdb.Transaction) -> str | None:
    """Return the revision of the environment; None for an empty one.

    Raises:
        ForeignSchema: It belongs to another application: it has keys without a mark, or an unknown mark.
    """
    mark = value_at(transaction, REVISION_KEY)
    if mark is None:
        cursor = transaction.cursor()
        if cursor.first():
            raise ForeignSchema.occupied([f"key {bytes(cursor.key())!r}"])
        return None
    if re.fullmatch(rb"[0-9]{4}", mark) is None:
        raise ForeignSchema.history(f"key {REVISION_KEY!r}", [repr(mark[:40])])
    return mark.decode()


def applied_histories(transaction: lmdb.Transaction) -> dict[str, dict[str, Any]]:
    """Return the records of the histories of declared resources by name.

    A record has the `number` of the newest revision and the names of all `resources` that it left.
    """
    found = walk(transaction, HISTORY_PREFIX)
    return {key.removeprefix(HISTORY_PREFIX).decode(): json.loads(text) for key, text in found}


class Store:
    """Runs each unit of work in its own transaction, in a thread.

    Writers wait for LMDB's lock, which all processes share. Readers see a snapshot and never wait. So a
    unit of work that reads and then writes is atomic.
    """

    def __init__(self, settings: Settings) -> None:
        """Open the environment; see `open_environment`."""
        self._path = path_of(settings)
        self._environment = open_environment(self._path)
        self._threads = ThreadPoolExecutor(settings.db_pool_size, "lmdb")
        self._free = asyncio.Semaphore(settings.db_pool_size)
        self._wait_timeout_seconds = settings.db_pool_timeout_seconds
        self._work_timeout_seconds = settings.db_command_timeout_seconds
        self._is_closed = False
        self.in_use = 0

    async def read(self, work: Work[T]) -> T:
        """Run the work in a read transaction and return its result."""
        return await self._run(work, write=False)

    async def write(self, work: Work[T]) -> T:
        """Run the work in a write transaction.

        Roll back if it raises; otherwise the changes are on disk on return.
        """
        return await self._run(work, write=True)

    async def _run(self, work: Work[T], *, write: bool) -> T:
        try:
            await asyncio.wait_for(self._free.acquire(), self._wait_timeout_seconds)
        except TimeoutError as exc:
            raise Unavailable("no thread became free in time") from exc
        self.in_use += 1
        done = asyncio.get_running_loop().run_in_executor(self._threads, self._transact, work, write)
        done.add_done_callback(self._give_back)
        try:
            # A thread can't be cancelled: a cancelled caller leaves it to finish the work.
            return await asyncio.wait_for(asyncio.shield(done), self._work_timeout_seconds)
        except TimeoutError as exc:
            raise Unavailable("the database did not answer in time") from exc

    def _give_back(self, done: asyncio.Future[T]) -> None:
        self.in_use -= 1
        self._free.release()
        if not done.cancelled():
            done.exception()  # Retrieved, so that asyncio doesn't report it as lost.

    def _transact(self, work: Work[T], write: bool) -> T:  # noqa: FBT001 - an executor passes by position
        try:
            with self._environment.begin(write=write) as transaction:
                return work(transaction)
        except lmdb.ReadersFullError as exc:
            raise Unavailable("too many read at once") from exc
        except lmdb.Error as exc:
            raise BackendError(str(exc)) from exc

    async def close(self) -> None:
        """Wait for the work in progress and release the environment. A second call does nothing."""
        if not self._is_closed:
            self._is_closed = True
            await asyncio.to_thread(self._threads.shutdown)
            close_environment(self._path)
