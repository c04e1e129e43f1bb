"""An event loop in a thread, and calls from other threads that wait for what runs in it."""

from __future__ import annotations

import asyncio
import os
import sys
import threading
from collections.abc import Callable, Coroutine
from contextlib import AbstractAsyncContextManager, AsyncExitStack, suppress
from typing import Any, Generic, TypeVar, cast

T = TypeVar("T")


class DatabaseClosed(RuntimeError):
    """The database was closed before the call."""


class EventLoopThread:
    """Runs coroutines in an event loop of its own, and one context manager that is left at the end.

    A daemon thread runs the loop, so a program that does not call `stop` ends nevertheless.
    """

    def __init__(self) -> None:
        """Start the thread."""
        self._pid = os.getpid()
        self._lock = threading.Lock()
        self._is_stopped = False
        self._failure: BaseException | None = None
        self._running: set[asyncio.Task[Any]] = set()
        self._stack = AsyncExitStack()
        self._loop = _new_event_loop()
        self._stopping = asyncio.Event()
        self._thread = threading.Thread(target=self._serve, name="eitherdb", daemon=True)
        self._thread.start()

    @property
    def is_stopped(self) -> bool:
        """Whether it was stopped, or begins to."""
        return self._is_stopped

    def run(self, make: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """Run a coroutine in the event loop, with the context variables of the caller; return its result.

        An exception in this thread, such as KeyboardInterrupt, cancels the coroutine. It is raised when the
        coroutine has ended; a second one is raised at once.

        Args:
            make: Makes the coroutine; called in the event loop.

        Raises:
            DatabaseClosed: The event loop was stopped.
            RuntimeError: The event loop is that of another process, or the caller's own.
        """
        if self._thread.ident == threading.get_ident():
            raise RuntimeError(
                "the database can't wait for itself: a hook that it calls has no access to it"
            )
        if self._pid != os.getpid():
            raise RuntimeError("what was read before this process was forked ends there: read it again")
        return _Call(self._loop, make, self._running).wait(self._submit)

    def enter(self, context: AbstractAsyncContextManager[T]) -> T:
        """Enter a context manager in the event loop; `stop` leaves it."""
        return self.run(lambda: self._stack.enter_async_context(context))

    def stop(self, *, timeout_seconds: float | None = None) -> None:
        """Wait for the calls of other threads, leave the context manager, and end the thread.

        Raises:
            Exception: The context manager's, when it was left.
        """
        self.begin_to_stop()
        if self._pid == os.getpid() and self._thread.ident != threading.get_ident():
            self._thread.join(timeout_seconds)
        failure, self._failure = self._failure, None
        if failure is not None:
            raise failure

    def begin_to_stop(self) -> None:
        """Do the same without waiting for it."""
        with suppress(DatabaseClosed):
            self._submit(self._stopping.set, is_last=True)

    def _submit(self, callback: Callable[[], object], *, is_last: bool = False) -> None:
        """Call back in the event loop. What is submitted before the last callback runs before the end."""
        with self._lock:
            if self._is_stopped:
                raise DatabaseClosed("the database is closed: open it again with eitherdb.open_blocking()")
            self._is_stopped = is_last
            self._loop.call_soon_threadsafe(callback)

    def _serve(self) -> None:
        try:
            with asyncio.Runner(loop_factory=lambda: self._loop) as runner:
                runner.run(self._wait_for_stop())
        except BaseException as exc:  # noqa: BLE001 - `stop` raises it
            self._failure = exc

    async def _wait_for_stop(self) -> None:
        async with self._stack:
            await self._stopping.wait()
            while self._running:
                await asyncio.wait(self._running)


class _Call(Generic[T]):
    """A coroutine in the event loop, for which a thread waits."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        make: Callable[[], Coroutine[Any, Any, T]],
        running: set[asyncio.Task[Any]],
    ) -> None:
        self._loop = loop
        self._make = make
        self._running = running
        self._task: asyncio.Task[T] | None = None
        self._exit: BaseException | None = None
        self._ended = threading.Lock()
        self._ended.acquire()

    def wait(self, submit: Callable[[Callable[[], object]], None]) -> T:
        """Start, and wait for the end."""
        try:
            submit(self._start)
            with self._ended:
                pass
        except DatabaseClosed:
            raise
        except BaseException:
            with suppress(RuntimeError):  # it has ended, and the event loop too
                self._loop.call_soon_threadsafe(self._cancel)
                with self._ended:
                    pass
            raise
        if self._exit is not None:
            raise self._exit
        # The traceback of an exception refers to this frame, which must not refer to the exception.
        task, self._task = self._task, None
        try:
            return cast("asyncio.Task[T]", task).result()
        finally:
            del task

    def _start(self) -> None:
        """Start the task. It has the context variables of the caller, which callbacks inherit."""
        self._task = self._loop.create_task(self._await())
        self._running.add(self._task)
        self._task.add_done_callback(self._end)

    async def _await(self) -> T:
        try:
            return await self._make()
        except (KeyboardInterrupt, SystemExit) as exc:  # these would end the event loop
            self._exit = exc
            raise asyncio.CancelledError from exc

    def _cancel(self) -> None:
        """Cancel the task. It has started, unless the caller was interrupted before it was submitted."""
        if self._task is None:
            self._ended.release()
        else:
            self._task.cancel()

    def _end(self, task: asyncio.Task[T]) -> None:
        self._running.discard(task)
        if not task.cancelled():
            task.exception()  # retrieved: an interrupted caller does not
        self._ended.release()


def _new_event_loop() -> asyncio.AbstractEventLoop:
    """Return a loop like that of `eitherdb serve`. With uvloop, a call takes two thirds of the CPU time."""
    if sys.platform == "win32":
        return asyncio.new_event_loop()
    import uvloop  # noqa: PLC0415 - not on Windows

    return uvloop.new_event_loop()
