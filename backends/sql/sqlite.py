"""SQLite connections in a thread pool, because SQLite runs in the calling thread."""

from __future__ import annotations

import asyncio
import sqlite3
import time
from collections import deque
from collections.abc import Callable, Collection, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar, cast

from backends.cancellation import run_to_completion
from backends.concurrency import FifoSemaphore
from backends.sql import sqlite_requirements
from backends.sql.connections import Connections, Steps
from backends.sql.engine import dialect, first_connection, make_folder, set_pragmas
from backends.sql.errors import connect_errors, translate_errors
from backends.sql.sqlite_connection import FileWatch, SqliteConnection
from backends.sql.sqlite_url import sqlite_options
from backends.sql.statements import Row, Statement, Values

if TYPE_CHECKING:
    from backends.models.resources import ResourceSpec
    from backends.requirements import Purpose, UnmetRequirement
    from config import Settings

T = TypeVar("T")

STEPS_OF_A_CALLBACK = 5_000
CALLBACKS = 4
"""The budget of a query in the event loop is 20,000 to 25,000 instructions."""

LONG_SECONDS = 1.0
"""How long a statement that exceeded the budget runs in threads, before the event loop tries it again."""

# A transaction that reads before it writes can't wait for another writer.
BEGIN = "BEGIN IMMEDIATE"


class SqliteConnections(Connections):
    """Runs each statement, or a whole transaction, as one job of a thread pool.

    SQLite has one write lock and polls for it. So writers wait for a FIFO semaphore instead, which is
    faster and fair.
    """

    asks_a_server = False
    writes_in_queries = False

    def __init__(self, settings: Settings) -> None:
        """See `Connections`."""
        options = sqlite_options(settings)
        super().__init__(dialect(settings), retry_deadline_seconds=settings.db_command_timeout_seconds)
        wait = settings.db_pool_timeout_seconds
        self._semaphore = FifoSemaphore(settings.db_pool_size, wait_timeout_seconds=wait)
        self._writers = FifoSemaphore(1, wait_timeout_seconds=wait)
        make_folder(options)
        self._file = options.file
        self._time_limit_seconds = settings.db_command_timeout_seconds
        self._threads = ThreadPoolExecutor(settings.db_pool_size, thread_name_prefix="sqlite")
        self._options = options
        self._arguments = options.arguments
        watch = FileWatch(self._file)
        self._all = [SqliteConnection(watch.look, self._connect) for _ in range(settings.db_pool_size)]
        self._idle = list(self._all)
        self._waiting: deque[asyncio.Future[SqliteConnection]] = deque()
        self._budget = _Budget()
        self._look_up = SqliteConnection(watch.recent, self._connect_for_look_ups)
        self._long: dict[str, float] = {}

    @property
    def in_use(self) -> int:
        """See `Connections`."""
        return len(self._all) - len(self._idle)

    async def open(self) -> str:
        """See `Connections`."""
        with connect_errors():
            await first_connection(
                lambda: self._visit(partial(_fetch, "SELECT 1", [])),
                timeout_seconds=self._time_limit_seconds,
            )
        self._arguments = self._options.of_existing_file  # a file that is gone may come back
        return sqlite3.sqlite_version

    async def unmet(self, purpose: Purpose, resources: Collection[ResourceSpec]) -> list[UnmetRequirement]:
        """See `Connections`. The checks run in the event loop, as look-ups do."""
        del resources  # privileges are those of the file
        with translate_errors():
            facts = self._look_up.do(partial(sqlite_requirements.facts, self._file))
        return list(sqlite_requirements.unmet(facts, purpose))

    async def close(self) -> None:
        """See `Connections`."""
        self._threads.shutdown()  # no job is running
        # Closing the last connection checkpoints the WAL, which is slow.
        await asyncio.to_thread(self._close)

    def _close(self) -> None:
        for connection in (*self._all, self._look_up):
            connection.close()

    async def look_up(self, statement: Statement, values: Values) -> list[Row]:
        """See `Connections`.

        A short query takes microseconds and a job in a thread hundreds. So the query runs in the event
        loop first, and in a thread if it fails or exceeds its budget.
        """
        compiled = self._compiled(statement)
        if self._long.get(compiled.sql, 0.0) < time.monotonic():
            self._budget.start()
            try:
                found = self._look_up.do(partial(_fetch, compiled.sql, compiled.arguments(values)))
            except sqlite3.Error:
                # In a thread it waits for a lock, or raises the translated error.
                if self._budget.is_spent:
                    self._long[compiled.sql] = time.monotonic() + LONG_SECONDS
            else:
                return compiled.rows(found)
        return await self.run(statement, values)

    async def write(self, statement: Statement, values: Values) -> list[Row]:
        """See `Connections`."""
        async with self._writers.slot():
            return await super().write(statement, values)

    async def _fetch(self, sql: str, arguments: list[Any]) -> Iterable[Iterable[Any]]:
        async with self._semaphore.slot():
            with translate_errors():
                return await self._visit(partial(_fetch, sql, arguments))

    async def _transact(self, steps: Callable[[], Steps[T]]) -> T:
        async with self._writers.slot(), self._semaphore.slot():
            with translate_errors():
                return await self._visit(partial(self._run, steps))

    def _run(self, steps: Callable[[], Steps[T]], connection: sqlite3.Connection) -> T:
        connection.execute(BEGIN)
        try:
            result = self._walk(steps(), connection)
            connection.execute("COMMIT")
        except BaseException:
            if connection.in_transaction:  # some errors roll back automatically
                connection.execute("ROLLBACK")
            raise
        return result

    def _walk(self, steps: Steps[T], connection: sqlite3.Connection) -> T:
        try:
            statement, values = next(steps)
            while True:
                compiled = self._compiled(statement)
                found = connection.execute(compiled.sql, compiled.arguments(values)).fetchall()
                statement, values = steps.send(compiled.rows(found))
        except StopIteration as end:
            return cast("T", end.value)
        finally:
            steps.close()

    async def _visit(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Run a job in a thread, on an open connection if no other can be opened.

        The latter happens if this process has no free file descriptors.
        """
        connection = await self._next_open() if self._waiting else self._idle.pop()
        while True:
            try:
                return await self._visit_with(connection, work)
            except sqlite3.OperationalError as exc:
                code = getattr(exc, "sqlite_errorname", "")
                is_at_limit = not connection.is_open and code == "SQLITE_CANTOPEN"
                if not is_at_limit or not any(each.is_open for each in self._all):
                    raise
            connection = await self._next_open()

    async def _visit_with(self, connection: SqliteConnection, work: Callable[[sqlite3.Connection], T]) -> T:
        """Run a job in a thread to completion, because threads can't be cancelled.

        After the command timeout the statement is interrupted and fails.
        """
        loop = asyncio.get_running_loop()
        was_open = connection.is_open
        timer = loop.call_later(self._time_limit_seconds, connection.interrupt)
        try:
            return await run_to_completion(loop.run_in_executor(self._threads, connection.do, work))
        finally:
            timer.cancel()
            self._give_back(connection, was_open=was_open)

    async def _next_open(self) -> SqliteConnection:
        """Wait for an open connection, in FIFO order."""
        if not self._waiting and self._idle and self._idle[-1].is_open:
            return self._idle.pop()
        waiter: asyncio.Future[SqliteConnection] = asyncio.get_running_loop().create_future()
        self._waiting.append(waiter)
        try:
            return await waiter
        except asyncio.CancelledError:
            if waiter.done() and not waiter.cancelled():
                self._give_back(waiter.result(), was_open=True)
            raise

    def _give_back(self, connection: SqliteConnection, *, was_open: bool) -> None:
        """Hand an open connection to the first waiter, or return it to the idle ones, open ones last."""
        may_be_open = was_open or connection.is_open
        while self._waiting and may_be_open:
            waiter = self._waiting.popleft()
            if not waiter.done():
                waiter.set_result(connection)
                return
        self._idle.insert(len(self._idle) if connection.is_open else 0, connection)

    def _connect(self) -> sqlite3.Connection:
        return _connect(self._arguments)

    def _connect_for_look_ups(self) -> sqlite3.Connection:
        """Connect for queries in the event loop, which must not block it, nor wait for a lock."""
        connection = _connect({**self._arguments, "timeout": 0})
        connection.set_progress_handler(self._budget.spend, STEPS_OF_A_CALLBACK)
        return connection


class _Budget:
    """The limit of a query in the event loop, in instructions of SQLite's virtual machine.

    A page of a hundred rows takes about two thousand instructions, which are less than a millisecond.

    Attributes:
        is_spent: Whether the query was interrupted.
    """

    def __init__(self) -> None:
        self.is_spent = False
        self._callbacks = 0

    def start(self) -> None:
        """Give the next query the whole budget."""
        self.is_spent = False
        self._callbacks = 0

    def spend(self) -> bool:
        """Return whether to interrupt the query. SQLite calls this after each `STEPS_OF_A_CALLBACK`.

        It counts the instructions of earlier runs of a statement, so the first callback means nothing.
        """
        self._callbacks += 1
        self.is_spent = self._callbacks > CALLBACKS
        return self.is_spent


def _fetch(sql: str, arguments: list[Any], connection: sqlite3.Connection) -> list[tuple[Any, ...]]:
    return connection.execute(sql, arguments).fetchall()


def connect(settings: Settings) -> sqlite3.Connection:
    """Connect as the repositories do; one thread at a time may use it.

    Raises:
        Exception: sqlite3's own, for the caller to translate.
    """
    return _connect(sqlite_options(settings).arguments)


def _connect(arguments: Mapping[str, Any]) -> sqlite3.Connection:
    connection: sqlite3.Connection = sqlite3.connect(
        **arguments, isolation_level=None, check_same_thread=False
    )
    try:
        set_pragmas(connection, foreign_keys=True)
    except BaseException:
        connection.close()
        raise
    return connection
