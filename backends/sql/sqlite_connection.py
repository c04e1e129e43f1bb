"""A SQLite connection that reopens its file after it was moved, deleted, replaced or read-only."""

from __future__ import annotations

import os
import sqlite3
import threading
import time
import weakref
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TypeVar

T = TypeVar("T")

Identity = tuple[int, int] | None

RECENT_SECONDS = 0.005

_REOPENED = ("SQLITE_READONLY", "SQLITE_CANTOPEN", "SQLITE_IOERR", "SQLITE_NOTADB", "SQLITE_CORRUPT")
"""Prefixes of codes after which a new connection may succeed."""


class FileWatch:
    """Returns the identity of the file at a path, its device and inode; None if there is no file."""

    def __init__(self, file: Path) -> None:
        """Watch this path."""
        self._file = file
        self._found: Identity = None
        self._looked_at = float("-inf")

    def look(self) -> Identity:
        """Read the identity from the file system."""
        try:
            found = os.stat(self._file)  # noqa: PTH116 - takes half as long as Path.stat
        except OSError:
            self._found = None
        else:
            self._found = found.st_dev, found.st_ino
        self._looked_at = time.monotonic()
        return self._found

    def recent(self) -> Identity:
        """Return the last identity that `look` read, if that is a few milliseconds ago at most.

        `look` takes a few microseconds, which is several percent of a look-up by id.
        """
        if time.monotonic() > self._looked_at + RECENT_SECONDS:
            return self.look()
        return self._found


class SqliteConnection:
    """A connection that opens on first use, in the thread that uses it, and reopens when necessary.

    SQLite keeps using a file that was deleted or replaced, and all later writes are lost. A connection that
    was opened while the file was read-only stays read-only.

    No connection is open while the process forks. SQLite keeps the locks of a process in its memory. A
    forked process would believe that it has those of its parent, and take none. Its commits are lost when
    another process then deletes the WAL.
    """

    def __init__(self, identity: Callable[[], Identity], connect: Callable[[], sqlite3.Connection]) -> None:
        """Open the file with `connect` on first use, and again when `identity` returns another one."""
        self._identity = identity
        self._connect = connect
        self._made: sqlite3.Connection | None = None
        self._made_for: Identity = None
        self._lock = threading.Lock()
        with _creation:
            _all.add(self)

    @property
    def is_open(self) -> bool:
        """Whether the file is open."""
        return self._made is not None

    def do(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Run a statement or transaction; retry once if the connection was read-only.

        Raises:
            sqlite3.Error: The work failed, or the file can't be opened.
        """
        with self._lock:
            if self._made is not None and self._identity() != self._made_for:
                self.close()
            was_open = self._made is not None
            try:
                return self._work(work)
            except sqlite3.OperationalError as exc:
                if not was_open or not _code(exc).startswith("SQLITE_READONLY"):
                    raise
            return self._work(work)

    def interrupt(self) -> None:
        """Interrupt the running statement, from another thread."""
        if (made := self._made) is not None:
            with suppress(sqlite3.ProgrammingError):  # it has just been closed
                made.interrupt()

    def close(self) -> None:
        """Close the connection; the next work reopens it."""
        made, self._made = self._made, None
        if made is not None:
            made.close()

    def begin_fork(self) -> None:
        """Wait for the running work, and close the connection. The next work waits for `end_fork`."""
        self._lock.acquire()
        self.close()

    def end_fork(self) -> None:
        """Let the next work reopen the connection, in the parent and in the child."""
        self._lock.release()

    def _work(self, work: Callable[[sqlite3.Connection], T]) -> T:
        if self._made is None:
            before = self._identity()  # if the file is replaced now, the next work notices
            self._made = self._connect()
            self._made_for = before or self._identity()
        try:
            return work(self._made)
        except sqlite3.DatabaseError as exc:
            if _code(exc).startswith(_REOPENED):
                self.close()
            raise


def _code(exc: sqlite3.Error) -> str:
    """Return the name of SQLite's code; errors of Python's driver itself have none."""
    return getattr(exc, "sqlite_errorname", None) or ""


_all: weakref.WeakSet[SqliteConnection] = weakref.WeakSet()
_creation = threading.Lock()
_forking: list[SqliteConnection] = []


def _before_fork() -> None:
    _creation.acquire()
    _forking.extend(_all)
    for each in _forking:
        each.begin_fork()


def _after_fork() -> None:
    for each in _forking:
        each.end_fork()
    _forking.clear()
    _creation.release()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_before_fork, after_in_parent=_after_fork, after_in_child=_after_fork)
