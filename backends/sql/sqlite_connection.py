"""A connection to SQLite that follows its file: moved, deleted, replaced, or read-only for a while."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TypeVar

T = TypeVar("T")

_REOPENED = ("SQLITE_READONLY", "SQLITE_CANTOPEN", "SQLITE_IOERR", "SQLITE_NOTADB", "SQLITE_CORRUPT")
"""After these, and what they begin, a new connection may do what this one can't."""


class SqliteConnection:
    """A connection that is opened by the first thread that works with it, and again when that is needed.

    SQLite goes on with a file that was deleted or replaced, and everything that is written to it is lost.
    What was opened while the file could only be read stays so for ever.
    """

    def __init__(self, file: Path, connect: Callable[[], sqlite3.Connection]) -> None:
        """Open the file by `connect` when there is work."""
        self._file = file
        self._connect = connect
        self._made: sqlite3.Connection | None = None
        self._made_for: tuple[int, int] | None = None

    @property
    def is_open(self) -> bool:
        """Whether it has the file open."""
        return self._made is not None

    def do(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Work with it: a statement or a transaction, once more where the first one could write nothing.

        Raises:
            sqlite3.Error: Of the work, or because the file can't be opened.
        """
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
        """End what is being done; for another thread."""
        if (made := self._made) is not None:
            with suppress(sqlite3.ProgrammingError):  # it has just been closed
                made.interrupt()

    def close(self) -> None:
        """Close it; the next work opens it again."""
        made, self._made = self._made, None
        if made is not None:
            made.close()

    def _work(self, work: Callable[[sqlite3.Connection], T]) -> T:
        if self._made is None:
            before = self._identity()  # if it is replaced meanwhile, the next work sees another
            self._made = self._connect()
            self._made_for = before or self._identity()
        try:
            return work(self._made)
        except sqlite3.DatabaseError as exc:
            if _code(exc).startswith(_REOPENED):
                self.close()
            raise

    def _identity(self) -> tuple[int, int] | None:
        """Return which file is at the path; None if none is."""
        try:
            found = os.stat(self._file)  # noqa: PTH116 - takes half as long as Path.stat
        except OSError:
            return None
        return found.st_dev, found.st_ino


def _code(exc: sqlite3.Error) -> str:
    """Return the name of SQLite's code; errors of Python's driver have none."""
    return getattr(exc, "sqlite_errorname", None) or ""
