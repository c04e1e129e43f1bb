"""A backend that is open in the event loop of a thread, in each process that uses it."""

from __future__ import annotations

import atexit
import ctypes
import os
import threading
import weakref
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import AbstractAsyncContextManager, suppress
from typing import Any, Generic, NoReturn, TypeAlias, TypeVar

from backends.errors import BackendError
from backends.protocols import Backend
from eitherdb.blocking.event_loop import EventLoopThread

T = TypeVar("T")
A = TypeVar("A")

Opener: TypeAlias = Callable[[], AbstractAsyncContextManager[Backend]]

EXIT_SECONDS = 5.0
"""The time limit for closing a database that is open when the program ends."""


class ReadOnlyDatabase(BackendError):
    """A method that writes was called on a database that was opened read-only. Nothing was changed.

    Attributes:
        method: The method: `users.add`.
    """

    def __init__(self, method: str) -> None:
        super().__init__(
            f"db.{method}(…) writes, and the database is open read-only: use `eitherdb shell --write`, or "
            "eitherdb.open_blocking() without read_only"
        )
        self.method = method


class OpenedBackend:
    """A backend, its event loop, and its state in a forked process.

    A forked process has neither the thread nor connections of its own. It opens the backend again at its
    first call, and never touches what belongs to its parent: closing it would end the parent's sessions.

    Attributes:
        read_only: Whether methods that write are refused.
    """

    def __init__(self, opener: Opener, *, read_only: bool) -> None:
        """Open the backend.

        Raises:
            Exception: The opener's.
        """
        self.read_only = read_only
        self._opener = opener
        self._lock = threading.Lock()
        self._thread: EventLoopThread | None = None
        self._open()
        _all.add(self)

    def _open(self) -> EventLoopThread:
        thread = EventLoopThread()
        try:
            self.backend = thread.enter(self._opener())
        except BaseException:
            thread.stop()
            raise
        # The thread does not refer to this object, so that it can be collected.
        self._finalizer = weakref.finalize(self, thread.begin_to_stop)
        self._finalizer.atexit = False
        self._thread = thread
        return thread

    @property
    def thread(self) -> EventLoopThread:
        """The thread of this process."""
        if self._thread is not None:
            return self._thread
        with self._lock:
            return self._thread or self._open()

    def call(self, part_of: Callable[[Backend], A], make: Callable[[A], Coroutine[Any, Any, T]]) -> T:
        """Call a method of a part of the backend, and wait for its result."""
        thread = self.thread
        return thread.run(lambda: make(part_of(self.backend)))

    def close(self, *, timeout_seconds: float | None = None) -> None:
        """Wait for the calls of other threads, and close the backend. A second call does nothing."""
        if self._thread is not None:
            self._thread.stop(timeout_seconds=timeout_seconds)

    def forget_parent(self) -> None:
        """Let a process that was just forked open its own backend, unless this one was closed before."""
        self._lock = threading.Lock()
        if self._thread is not None and not self._thread.is_stopped:
            self._finalizer.detach()
            # It is never freed, not even at the end of the interpreter: that would close sockets and files,
            # and take them out of the poll of the parent's event loop.
            ctypes.pythonapi.Py_IncRef(ctypes.py_object((self._thread, self.backend)))
            self._thread = None


_all: weakref.WeakSet[OpenedBackend] = weakref.WeakSet()


def _after_fork() -> None:
    for each in list(_all):
        each.forget_parent()


@atexit.register
def _close_all() -> None:
    for each in list(_all):
        with suppress(Exception):  # the interpreter has already ended the threads of pools
            each.close(timeout_seconds=EXIT_SECONDS)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


class Blocking(Generic[A]):
    """A part of a backend, whose methods wait for those of the asynchronous one."""

    def __init__(self, opened: OpenedBackend, name: str, part_of: Callable[[Backend], A]) -> None:
        """Wrap this part of the backend.

        Args:
            opened: The backend.
            name: The part in a script, after `db.`; for messages.
            part_of: Returns the part.
        """
        self._opened = opened
        self._name = name
        self._part_of = part_of

    def __reduce__(self) -> NoReturn:
        """Refuse to be pickled and copied."""
        raise TypeError(
            "an open database can't be sent to another process: open it there with eitherdb.open_blocking()"
        )

    @property
    def _part(self) -> A:
        return self._part_of(self._opened.backend)

    def _call(self, make: Callable[[A], Coroutine[Any, Any, T]]) -> T:
        return self._opened.call(self._part_of, make)

    def _write(self, method: str, make: Callable[[A], Coroutine[Any, Any, T]]) -> T:
        """Call a method that writes.

        Raises:
            ReadOnlyDatabase: The database was opened read-only.
        """
        if self._opened.read_only:
            raise ReadOnlyDatabase(f"{self._name}.{method}")
        return self._call(make)

    def _iterate(self, iterator: AsyncIterator[T]) -> Iterator[T]:
        return _Items(self._opened.thread, iterator)


class _Items(Iterator[T]):
    """The items of an asynchronous iterator, each fetched on demand."""

    def __init__(self, thread: EventLoopThread, iterator: AsyncIterator[T]) -> None:
        self._thread = thread
        self._iterator = iterator

    def __next__(self) -> T:
        """Return the next item."""
        found = self._thread.run(self._next)
        if not found:
            raise StopIteration
        return found[0]

    async def _next(self) -> list[T]:
        async for item in self._iterator:
            return [item]
        return []
