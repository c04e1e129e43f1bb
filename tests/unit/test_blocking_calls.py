"""Blocking calls: interruption, several threads, the end of the event loop, and what is refused."""

from __future__ import annotations

import asyncio
import copy
import gc
import os
import pickle
import signal
import sys
import threading
import time
import weakref
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from contextvars import ContextVar
from types import SimpleNamespace
from typing import Any, cast

import pytest

from backends.protocols import Backend
from eitherdb.blocking import Database, DatabaseClosed
from eitherdb.blocking.event_loop import EventLoopThread

NAME: ContextVar[str] = ContextVar("NAME")


class Interrupted(BaseException):
    """What a signal handler raises in the main thread, as Celery's time limit does."""


@contextmanager
def interrupted_after(*seconds: float) -> Iterator[None]:
    """Raise `Interrupted` in the main thread, once for each time."""

    def interrupt(*_: object) -> None:
        raise Interrupted

    before = signal.signal(signal.SIGUSR1, interrupt)
    timers = [threading.Timer(each, os.kill, (os.getpid(), signal.SIGUSR1)) for each in seconds]
    for timer in timers:
        timer.start()
    try:
        yield
    finally:
        for timer in timers:
            timer.join()
        signal.signal(signal.SIGUSR1, before)


@pytest.fixture
def thread() -> Iterator[EventLoopThread]:
    """Return an event loop in a thread, which is stopped at the end."""
    thread = EventLoopThread()
    yield thread
    thread.stop()


class Slow:
    """A call that takes long, and a while to end after it was cancelled."""

    SECONDS = 40

    def __init__(self, *, cleanup_seconds: float) -> None:
        self.has_ended = False
        self._cleanup_seconds = cleanup_seconds

    async def __call__(self) -> None:
        """Run."""
        try:
            await asyncio.sleep(self.SECONDS)
        finally:
            await asyncio.sleep(self._cleanup_seconds)
            self.has_ended = True


def test_interrupted_call_is_cancelled_and_has_ended(thread: EventLoopThread) -> None:
    """Nothing of it runs when the exception arrives, and the next call works."""
    slow = Slow(cleanup_seconds=0.1)
    began = time.monotonic()
    with interrupted_after(0.1), pytest.raises(Interrupted):
        thread.run(slow)
    assert slow.has_ended
    assert time.monotonic() - began < Slow.SECONDS / 2
    assert thread.run(lambda: asyncio.sleep(0, "next")) == "next"


def test_second_interrupt_does_not_wait(thread: EventLoopThread) -> None:
    """A program that hangs can be ended. The call ends in the background."""
    slow = Slow(cleanup_seconds=1)
    with interrupted_after(0.1, 0.3), pytest.raises(Interrupted):
        thread.run(slow)
    assert not slow.has_ended
    thread.stop()
    assert slow.has_ended


def test_call_sees_the_context_of_its_caller(thread: EventLoopThread) -> None:
    """A hook can read a context variable, such as the id of a job."""

    async def name() -> str:
        return NAME.get()

    token = NAME.set("caller")
    try:
        assert thread.run(name) == "caller"
    finally:
        NAME.reset(token)


def test_exit_in_a_call_is_the_callers(thread: EventLoopThread) -> None:
    """`sys.exit` in a hook would end the event loop, and let every other caller wait for ever."""

    async def leave() -> None:
        sys.exit(3)

    with pytest.raises(SystemExit) as caught:
        thread.run(leave)
    assert caught.value.code == 3
    assert thread.run(lambda: asyncio.sleep(0, "next")) == "next"


def test_traceback_names_the_line_of_the_caller(thread: EventLoopThread) -> None:
    """It has the frames of both threads."""

    async def fail() -> None:
        raise LookupError

    with pytest.raises(LookupError) as caught:
        thread.run(fail)
    names = [entry.name for entry in caught.traceback]
    assert names[0] == "test_traceback_names_the_line_of_the_caller"
    assert names[-1] == "fail"


def test_call_from_its_own_event_loop_is_refused(thread: EventLoopThread) -> None:
    """It would wait for itself."""

    async def wait() -> None:
        thread.run(lambda: asyncio.sleep(0))

    with pytest.raises(RuntimeError, match="the database can't wait for itself"):
        thread.run(wait)


def test_stop_waits_for_calls_of_other_threads() -> None:
    """A call that has begun gets its result; one that begins later is refused."""
    thread = EventLoopThread()
    results: list[str] = []
    caller = threading.Thread(target=lambda: results.append(thread.run(lambda: asyncio.sleep(0.2, "done"))))
    caller.start()
    while not thread._running:
        time.sleep(0.001)
    thread.stop()
    caller.join()
    assert results == ["done"]
    with pytest.raises(DatabaseClosed, match="the database is closed"):
        thread.run(lambda: asyncio.sleep(0))
    thread.stop()


def test_calls_that_meet_the_stop_have_a_result_or_are_refused() -> None:
    """None of them waits for ever."""
    for _ in range(20):
        thread = EventLoopThread()
        outcomes: list[str] = []

        def call(thread: EventLoopThread = thread, outcomes: list[str] = outcomes) -> None:
            try:
                while True:
                    thread.run(lambda: asyncio.sleep(0))
            except DatabaseClosed:
                outcomes.append("refused")

        callers = [threading.Thread(target=call, daemon=True) for _ in range(4)]
        for each in callers:
            each.start()
        thread.stop()
        for each in callers:
            each.join(10)
        assert outcomes == ["refused"] * 4


def opened(log: list[str], failure: Exception | None = None) -> Database:
    """Open a database without repositories, whose opening may fail."""

    @asynccontextmanager
    async def opener() -> AsyncIterator[Backend]:
        if failure is not None:
            raise failure
        log.append("opened")
        try:
            yield cast("Backend", SimpleNamespace(resources={"items": SimpleNamespace(spec=None)}))
        finally:
            log.append("closed")

    return Database(opener)


def alive() -> list[str]:
    """Return the event loop threads that run."""
    return [each.name for each in threading.enumerate() if each.name == "eitherdb"]


def test_with_closes_once() -> None:
    """A second `close` does nothing, and no thread remains."""
    log: list[str] = []
    before = alive()
    with opened(log) as database:
        assert log == ["opened"]
    database.close()
    assert log == ["opened", "closed"]
    assert alive() == before


def test_failed_opening_leaves_no_thread() -> None:
    """The error is that of the backend."""
    before = alive()
    with pytest.raises(LookupError, match="no such database"):
        opened([], LookupError("no such database"))
    assert alive() == before


def test_database_that_nothing_refers_to_is_closed() -> None:
    """A part of it keeps it open."""
    log: list[str] = []
    database = opened(log)
    users, reference = database.users, weakref.ref(database)
    del database
    gc.collect()
    assert (reference(), log) == (None, ["opened"])
    del users
    gc.collect()
    deadline = time.monotonic() + 10
    while log != ["opened", "closed"] and time.monotonic() < deadline:
        time.sleep(0.01)
    assert log == ["opened", "closed"]


@pytest.mark.parametrize("send", [pickle.dumps, copy.copy, copy.deepcopy])
def test_database_is_not_sent_to_other_processes(send: Any) -> None:
    """The refusal says what to do there."""
    with opened([]) as database:
        for part in (database, database.users, database.items):
            with pytest.raises(TypeError, match=r"open it there with eitherdb\.open_blocking\(\)"):
                send(part)
