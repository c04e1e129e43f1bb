"""A pool of asyncpg connections: first come, first served, with as many connections as the server gives.

asyncpg's own pool makes a task for each release and sends a reset, which costs as much as a query. Here a
connection is neither checked nor reset, because none keeps any state.
"""

from __future__ import annotations

import asyncio
import errno
import logging
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Any, cast

import asyncpg

from backends.errors import Unavailable
from backends.sql.errors import translated

logger = logging.getLogger(__name__)

RETRY_SECONDS = 5.0
"""How long a refused pool makes do with the connections it holds before it asks for another."""

RETRY_WITHOUT_CONNECTION_SECONDS = 0.1
"""The same while it holds none, so that nobody could be served meanwhile."""

RENEWAL_SECONDS = 2.0
"""The least time between two renewals: a server that stays read-only must not cost a connection a call."""

_LIMITS = {"53300", "08P01"}
"""How a server or a pooler says that there are too many: too_many_connections; PgBouncer has one code for
all that it refuses, protocol_violation."""

_OWN_LIMITS = {errno.EMFILE, errno.ENFILE, errno.EAGAIN}
"""The operating system has no more file descriptors, or the server's Unix socket no more room."""


class Session(asyncpg.Connection):
    """A connection and what is known about its session.

    Attributes:
        generation: The pool's when the connection was opened.
        prepared: Statements that were described on it; used behind a pooler only.
    """

    __slots__ = ("generation", "prepared")

    def __init__(self, *args: Any, **options: Any) -> None:
        """Take what asyncpg gives."""
        super().__init__(*args, **options)
        self.generation = 0
        self.prepared: dict[str, Any] = {}


class Pool:
    """Lends connections in the order in which they are asked for.

    Whoever finds none idle waits, and a new one is opened meanwhile: he gets what is there first. So a
    server that refuses the new one stops nobody while there are others. They are served by those that the
    pool holds, and it asks for more now and then.

    Attributes:
        idle: The connections that nobody uses, the one that was used last at the end.
    """

    def __init__(
        self,
        connect: Callable[[], Awaitable[Session]],
        *,
        size: int,
        wait_timeout_seconds: float,
        close_timeout_seconds: float,
    ) -> None:
        """Open connections by `connect` when there is need of them, at most `size`."""
        self.idle: list[Session] = []
        self._connect = connect
        self._size = size
        self._wait_timeout_seconds = wait_timeout_seconds
        self._close_timeout_seconds = close_timeout_seconds
        self._sessions: set[Session] = set()
        self._openings: set[asyncio.Task[None]] = set()
        self._closings: set[asyncio.Task[None]] = set()
        self._waiting: deque[asyncio.Future[Session]] = deque()
        self._generation = 0
        self._renewed_at = self._closed_at = float("-inf")
        self._refusal: Exception | None = None
        self._retry: asyncio.TimerHandle | None = None
        self._told = False

    async def take(self) -> Session:
        """Return the connection that was used last, or wait for one.

        Raises:
            Unavailable: None became free in time, or none can be opened.
        """
        connection = None
        while connection is None or connection.is_closed():
            # Where there is an idle one, nobody waits.
            connection = self.idle.pop() if self.idle else await self._wait()
        return connection

    async def _wait(self) -> Session:
        waiter: asyncio.Future[Session] = asyncio.get_running_loop().create_future()
        self._waiting.append(waiter)
        self._open_missing()
        try:
            async with asyncio.timeout(self._wait_timeout_seconds):
                return await waiter
        except BaseException as exc:
            if waiter in self._waiting:
                self._waiting.remove(waiter)
            elif waiter.done() and not waiter.cancelled() and waiter.exception() is None:
                self.give_back(waiter.result())
            if isinstance(exc, TimeoutError):
                reason = f": the server refuses another ({self._refusal})" if self._refusal else ""
                raise Unavailable(f"no database connection became free in time{reason}") from exc
            raise

    def give_back(self, connection: Session) -> None:
        """Hand it to the one who has waited longest, unless it is closed or of an old generation."""
        if connection.is_closed():
            return
        if connection.generation != self._generation:
            self.retire(connection)
            return
        while self._waiting:
            waiter = self._waiting.popleft()
            if not waiter.done():
                waiter.set_result(connection)
                return
        self.idle.append(connection)

    def retire(self, connection: Session) -> None:
        """Close a connection behind the caller's back: what the server still does for it is called off."""
        self._sessions.discard(connection)
        closing = asyncio.create_task(connection.close(timeout=self._close_timeout_seconds))
        self._closings.add(closing)
        closing.add_done_callback(self._closed)
        self._open_missing()

    def renew(self, connection: Session) -> bool:
        """Retire a connection whose session can't do its work, with all that were opened before now.

        Returns:
            Whether the next connection is a newer one; False if this one is new itself, so that the fault
            is the server's. Then it is kept.
        """
        now = asyncio.get_running_loop().time()
        if connection.generation == self._generation:
            if now < self._renewed_at + RENEWAL_SECONDS:
                return False
            self._renewed_at = now
            self._generation += 1
            while self.idle:
                self.retire(self.idle.pop())
        return True

    async def close(self) -> None:
        """Close every connection."""
        if self._retry is not None:
            self._retry.cancel()
        for opening in self._openings:
            opening.cancel()
        await asyncio.gather(*self._openings, return_exceptions=True)
        while self.idle:
            self.retire(self.idle.pop())
        await asyncio.gather(*self._closings, return_exceptions=True)

    def add(self, connection: Session) -> None:
        """Take over a new connection."""
        connection.add_termination_listener(self._terminated)
        self._sessions.add(connection)
        if len(self._sessions) == self._size:
            self._refusal, self._told = None, False
        self.give_back(connection)

    def _open_missing(self) -> None:
        """Open a connection for each waiter, as far as there may be more; one by one after a refusal."""
        missing = min(len(self._waiting), self._size - len(self._sessions)) - len(self._openings)
        if self._refusal is not None:
            missing = 0 if self._retry is not None else min(missing, 1 - len(self._openings))
        for _ in range(missing):
            opening = asyncio.create_task(self._open())
            self._openings.add(opening)
            opening.add_done_callback(self._openings.discard)

    async def _open(self) -> None:
        generation = self._generation
        connection, failure = None, None
        try:
            connection = await self._connect()
        except Exception as exc:  # noqa: BLE001 - whoever waits gets it
            failure = exc
        self._openings.discard(cast("asyncio.Task[None]", asyncio.current_task()))
        if connection is not None:
            connection.generation = generation
            self.add(connection)
        elif failure is not None:
            self._failed(failure)
        self._open_missing()

    def _failed(self, exc: Exception) -> None:
        """Make do with the connections that there are; without any, the first waiter fails."""
        if _is_limit(exc) or (self._sessions and isinstance(exc, asyncpg.PostgresError)):
            self._refusal = exc
            self._tell()
            if self._retry is None:
                pause = RETRY_SECONDS if self._sessions else RETRY_WITHOUT_CONNECTION_SECONDS
                self._retry = asyncio.get_running_loop().call_later(pause, self._retry_now)
            return
        self._refusal = None
        while self._waiting:
            waiter = self._waiting.popleft()
            if not waiter.done():
                error = translated(exc, is_connecting=True)
                error.__cause__ = exc
                waiter.set_exception(error)
                return

    def _tell(self) -> None:
        """Log the limit, once; not just after a close, of which the server may not know yet."""
        now = asyncio.get_running_loop().time()
        if self._told or not self._sessions or now < self._closed_at + 1:
            return
        self._told = True
        logger.warning(
            "PostgreSQL gives this service %d of the %d connections of DB_POOL_SIZE: %s; raise the limit "
            "or lower DB_POOL_SIZE",
            len(self._sessions),
            self._size,
            self._refusal,
        )

    def _retry_now(self) -> None:
        if self._retry is not None:
            self._retry.cancel()
            self._retry = None
        self._open_missing()

    def _terminated(self, connection: Any) -> None:
        """Forget a connection that was closed, by whichever side: there may be room for another."""
        self._sessions.discard(connection)
        self._closed_at = asyncio.get_running_loop().time()
        connection.prepared.clear()
        if connection in self.idle:
            self.idle.remove(connection)
        self._retry_now()

    def _closed(self, closing: asyncio.Task[None]) -> None:
        self._closings.discard(closing)
        closing.exception()  # looked at; asyncpg hangs up in any case


def _is_limit(exc: Exception) -> bool:
    """Tell whether there are too many connections already, here or there."""
    if isinstance(exc, asyncpg.PostgresError):
        return exc.sqlstate in _LIMITS
    return isinstance(exc, OSError) and exc.errno in _OWN_LIMITS
