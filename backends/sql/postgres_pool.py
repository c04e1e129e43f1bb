"""A FIFO pool of asyncpg connections, which adapts its size to the server's connection limit.

asyncpg's own pool creates a task for each release and sends a reset, which costs as much as a query. This
pool neither checks nor resets connections, because they keep no session state.
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
"""The pause before the pool requests another connection after the server refused one."""

RETRY_WITHOUT_CONNECTION_SECONDS = 0.1
"""The same pause while the pool has no connection at all."""

RENEWAL_SECONDS = 2.0
"""The minimum time between renewals, so that a read-only server does not cost one connection per call."""

_LIMITS = {"53300", "08P01"}
"""Codes for too many connections: too_many_connections, and PgBouncer's protocol_violation, which it uses
for every refusal."""

_OWN_LIMITS = {errno.EMFILE, errno.ENFILE, errno.EAGAIN}
"""No free file descriptor, or a full backlog of the server's Unix socket."""


class Session(asyncpg.Connection):
    """A connection with the state of its session.

    Attributes:
        generation: The pool's generation when the connection was opened.
        prepared: The cache of described statements; used behind a pooler only.
    """

    __slots__ = ("generation", "prepared")

    def __init__(self, *args: Any, **options: Any) -> None:
        """Accept asyncpg's arguments."""
        super().__init__(*args, **options)
        self.generation = 0
        self.prepared: dict[str, Any] = {}


class Pool:
    """A FIFO connection pool.

    A caller that finds no idle connection waits, and the pool opens a new one. The caller gets whichever
    connection is free first. So while the pool has other connections, a refused one fails no caller. The
    pool then works with its connections and periodically requests more.

    Attributes:
        idle: The idle connections, the most recently used last.
    """

    def __init__(
        self,
        connect: Callable[[], Awaitable[Session]],
        *,
        size: int,
        wait_timeout_seconds: float,
        close_timeout_seconds: float,
    ) -> None:
        """Open connections with `connect` on demand, at most `size`."""
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
        """Return the most recently used idle connection, or wait for one.

        Raises:
            Unavailable: No connection became free in time, or none can be opened.
        """
        connection = None
        while connection is None or connection.is_closed():
            # If a connection is idle, no caller is waiting.
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
        """Hand the connection to the first waiter, unless it is closed or of an old generation."""
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
        """Close a connection in a background task; the server cancels its running statement."""
        self._sessions.discard(connection)
        closing = asyncio.create_task(connection.close(timeout=self._close_timeout_seconds))
        self._closings.add(closing)
        closing.add_done_callback(self._closed)
        self._open_missing()

    def renew(self, connection: Session) -> bool:
        """Retire a connection with an unusable session, and all other connections of its generation.

        Returns:
            Whether the next connection will be newer. False if the last renewal was too recent: then the
            server is the cause, and the connection is kept.
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
        """Add a new connection to the pool."""
        connection.add_termination_listener(self._terminated)
        self._sessions.add(connection)
        if len(self._sessions) == self._size:
            self._refusal, self._told = None, False
        self.give_back(connection)

    def _open_missing(self) -> None:
        """Open a connection for each waiter, up to `size`; one at a time after a refusal."""
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
        except Exception as exc:  # noqa: BLE001 - a waiter gets it
            failure = exc
        self._openings.discard(cast("asyncio.Task[None]", asyncio.current_task()))
        if connection is not None:
            connection.generation = generation
            self.add(connection)
        elif failure is not None:
            self._failed(failure)
        self._open_missing()

    def _failed(self, exc: Exception) -> None:
        """Schedule a retry after a refusal; otherwise fail the first waiter."""
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
        """Log the limit once, but not right after a close, which the server may not have noticed."""
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
        """Remove a closed connection, and try to open another."""
        self._sessions.discard(connection)
        self._closed_at = asyncio.get_running_loop().time()
        connection.prepared.clear()
        if connection in self.idle:
            self.idle.remove(connection)
        self._retry_now()

    def _closed(self, closing: asyncio.Task[None]) -> None:
        self._closings.discard(closing)
        closing.exception()  # retrieved; asyncpg closes the socket in any case


def _is_limit(exc: Exception) -> bool:
    """Return whether a connection limit of the server or of this machine is reached."""
    if isinstance(exc, asyncpg.PostgresError):
        return exc.sqlstate in _LIMITS
    return isinstance(exc, OSError) and exc.errno in _OWN_LIMITS
