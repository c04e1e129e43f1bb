"""The environment: opened once a process, used from threads, one transaction a call."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar, cast

import lmdb

from backends.errors import BackendError, ForeignSchema, Unavailable
from config import Settings

T = TypeVar("T")
Work = Callable[[lmdb.Transaction], T]

MAP_BYTES = 2**36
"""The most that the database can hold: address space, not disk."""

READERS = 1024
"""The most read transactions at once, of all processes."""

REVISION = "0001"
REVISION_KEY = b"revision"

_opened: dict[Path, tuple[lmdb.Environment, int]] = {}
"""The environments of this process and how many use each: LMDB must not open one twice in a process."""


def path_of(settings: Settings) -> Path:
    """Return the folder: `lmdb:///absolute/path`, `lmdb://relative/path`."""
    return Path(settings.url.partition("://")[2]).resolve()


def open_environment(path: Path) -> lmdb.Environment:
    """Return the environment in this folder, which is made if missing; `close_environment` gives it back.

    Raises:
        Unavailable: There is none, and none can be made.
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
    """Close the environment, if nobody else in this process uses it."""
    environment, users = _opened.pop(path)
    if users == 1:
        environment.close()
    else:
        _opened[path] = environment, users - 1


def value_at(transaction: lmdb.Transaction, key: bytes) -> bytes | None:
    """Return the value of a key; None if there is none."""
    return cast("bytes | None", transaction.get(key))


def applied_revision(transaction: lmdb.Transaction) -> str | None:
    """Return the revision that the environment is marked with; None for an empty one.

    Raises:
        ForeignSchema: It is another application's: it has keys without a mark, or an unknown mark.
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


class Store:
    """Runs each piece of work in a transaction of its own, in a thread.

    Writers stand in line at LMDB's lock, which counts for all processes; readers see a snapshot and never
    wait. So what a piece of work decides by what it reads is decided in the moment of the write.
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
        """Return what the work finds in a snapshot."""
        return await self._run(work, write=False)

    async def write(self, work: Work[T]) -> T:
        """Do the work whole, or, if it raises, nothing of it; it is on disk when this returns."""
        return await self._run(work, write=True)

    async def empty(self) -> None:
        """Remove every key."""
        keys = self._environment.open_db()
        await self.write(lambda transaction: transaction.drop(keys, delete=False))

    async def _run(self, work: Work[T], *, write: bool) -> T:
        try:
            await asyncio.wait_for(self._free.acquire(), self._wait_timeout_seconds)
        except TimeoutError as exc:
            raise Unavailable("no thread became free in time") from exc
        self.in_use += 1
        done = asyncio.get_running_loop().run_in_executor(self._threads, self._transact, work, write)
        done.add_done_callback(self._give_back)
        try:
            # A thread can't be called off: whoever is cancelled leaves it to finish the work.
            return await asyncio.wait_for(asyncio.shield(done), self._work_timeout_seconds)
        except TimeoutError as exc:
            raise Unavailable("the database did not answer in time") from exc

    def _give_back(self, done: asyncio.Future[T]) -> None:
        self.in_use -= 1
        self._free.release()
        if not done.cancelled():
            done.exception()  # looked at, so that asyncio does not report it as lost

    def _transact(self, work: Work[T], write: bool) -> T:  # noqa: FBT001 - an executor passes by position
        try:
            with self._environment.begin(write=write) as transaction:
                return work(transaction)
        except lmdb.ReadersFullError as exc:
            raise Unavailable("too many read at once") from exc
        except lmdb.Error as exc:
            raise BackendError(str(exc)) from exc

    async def close(self) -> None:
        """Wait for the work that is under way and give the environment back; once."""
        if not self._is_closed:
            self._is_closed = True
            await asyncio.to_thread(self._threads.shutdown)
            close_environment(self._path)
