"""The pool as the repositories see it: a statement in, its rows out; or a transaction."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, TypeVar, cast

from sqlalchemy.exc import SQLAlchemyError

from backends.cancellation import to_its_end
from backends.errors import Unavailable
from backends.retry import retry_conflicts
from backends.sql.errors import translate_errors

if TYPE_CHECKING:
    from sqlalchemy import Executable, Row
    from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine
    from sqlalchemy.pool import AsyncAdaptedQueuePool

T = TypeVar("T")


class Connections:
    """Runs statements on pooled connections, each in a transaction of its own or several in one.

    A connection is taken only for the statement or the transaction. Waiters are served in the order in
    which they came: the pool's own queue lets newcomers overtake, which starves some callers under load.
    """

    def __init__(
        self,
        engine: AsyncEngine,
        *,
        size: int,
        writers: int,
        begin: str,
        interruptible: bool,
        wait_timeout_seconds: float,
        retry_deadline_seconds: float,
        interrupt_after_seconds: float | None,
    ) -> None:
        """Share out the engine's connections.

        Args:
            engine: In AUTOCOMMIT mode.
            size: The most statements at once.
            writers: The most writing statements at once: 1 for SQLite, which has one write lock and
                polls for it, so that waiting here in order is both faster and fair.
            begin: What begins a transaction that is going to write.
            interruptible: Whether a cancelled call may leave its statement in the middle. SQLite's can't be
                taken back from the thread that runs it, and would keep the write lock.
            wait_timeout_seconds: How long a statement may wait for its turn.
            retry_deadline_seconds: How long a write that collides may be retried.
            interrupt_after_seconds: How long SQLite may work on a statement; None where the driver keeps
                time itself.
        """
        self._engine = engine
        self._turns = asyncio.Semaphore(size)
        self._write_turns = asyncio.Semaphore(writers)
        self._begin = begin
        self._interruptible = interruptible
        self._wait_timeout_seconds = wait_timeout_seconds
        self._retry_deadline_seconds = retry_deadline_seconds
        self._interrupt_after_seconds = interrupt_after_seconds

    async def read(self, statement: Executable) -> Sequence[Row[Any]]:
        """Run a query; return its rows."""
        return await self._execute(statement, None)

    async def write(
        self, statement: Executable, values: Mapping[str, Any] | None = None
    ) -> Sequence[Row[Any]]:
        """Run a statement that changes rows; return what its RETURNING gives.

        Raises:
            ConstraintViolation: For the repository to translate.
        """
        async with self._turn(self._write_turns):
            return await retry_conflicts(
                lambda: self._execute(statement, values),
                deadline_seconds=self._retry_deadline_seconds,
            )

    async def transact(
        self,
        body: Callable[[AsyncConnection], Awaitable[T]],
    ) -> T:
        """Run the body in a transaction; commit what it did, or roll it back if it raises.

        Once, and to its end even if the caller is cancelled: a connection never goes back to the pool in
        the middle of a transaction.

        Raises:
            ConstraintViolation: For the repository to translate.
            Conflict: It collided with another and was rolled back.
            ConnectionLost: It may have been committed.
        """
        async with self._turn(self._write_turns), self._turn(self._turns):
            return await to_its_end(self._transact(body))

    async def _transact(self, body: Callable[[AsyncConnection], Awaitable[T]]) -> T:
        with translate_errors():
            async with self._engine.connect() as connection, self._time_limit(connection):
                # The engine is in AUTOCOMMIT mode: that a transaction begins is for us to say.
                await connection.exec_driver_sql(self._begin)
                try:
                    result = await body(connection)
                    await connection.exec_driver_sql("COMMIT")
                except OSError:
                    # A time limit, too: ROLLBACK would wait as long again. Closed, it is rolled back.
                    await connection.invalidate()
                    raise
                except BaseException:
                    try:
                        await connection.exec_driver_sql("ROLLBACK")
                    except (SQLAlchemyError, OSError):
                        await connection.invalidate()
                    raise
                return result

    async def _execute(self, statement: Executable, values: Mapping[str, Any] | None) -> Sequence[Row[Any]]:
        async with self._turn(self._turns):
            run = self._run(statement, values)
            return await (run if self._interruptible else to_its_end(run))

    async def _run(self, statement: Executable, values: Mapping[str, Any] | None) -> Sequence[Row[Any]]:
        with translate_errors():
            async with self._engine.connect() as connection, self._time_limit(connection):
                result = await connection.execute(statement, values)
                return result.all() if result.returns_rows else ()

    @asynccontextmanager
    async def _time_limit(self, connection: AsyncConnection) -> AsyncIterator[None]:
        """Interrupt what SQLite still works on when its time is over; the statement then fails."""
        if self._interrupt_after_seconds is None:
            yield
            return
        driver_connection = (await connection.get_raw_connection()).driver_connection
        assert driver_connection is not None  # noqa: S101 - for the type checker
        interruptions: list[asyncio.Future[None]] = []
        timer = asyncio.get_running_loop().call_later(
            self._interrupt_after_seconds,
            lambda: interruptions.append(asyncio.ensure_future(driver_connection.interrupt())),
        )
        try:
            yield
        finally:
            timer.cancel()
            await asyncio.gather(*interruptions)  # now, while the connection is nobody else's

    @asynccontextmanager
    async def _turn(self, turns: asyncio.Semaphore) -> AsyncIterator[None]:
        try:
            async with asyncio.timeout(self._wait_timeout_seconds):
                await turns.acquire()
        except TimeoutError as exc:
            raise Unavailable("no database connection became free in time") from exc
        try:
            yield
        finally:
            turns.release()

    @property
    def in_use(self) -> int:
        """How many connections are taken from the pool."""
        return cast("AsyncAdaptedQueuePool", self._engine.pool).checkedout()

    async def close(self) -> None:
        """Close every connection."""
        await self._engine.dispose()
