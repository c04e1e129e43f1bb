"""PostgreSQL's connections, by asyncpg."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, Any, TypeVar

import asyncpg

from backends.cancellation import run_to_completion
from backends.errors import ConnectionLost
from backends.sql import postgres_requirements
from backends.sql.connections import Connections, Steps
from backends.sql.engine import dialect
from backends.sql.errors import connect_errors, translated
from backends.sql.postgres_url import PostgresOptions, postgres_options

if TYPE_CHECKING:
    from backends.requirements import Purpose, UnmetRequirement
    from config import Settings

T = TypeVar("T")

_BROKEN = (asyncpg.InterfaceError, asyncpg.InternalClientError, OSError)
"""After these, a time limit among them, nobody knows in which state a connection is."""

BEGIN = "BEGIN"


class PostgresConnections(Connections):
    """A pool that is a stack of connections: none is checked or reset, because none keeps any state.

    asyncpg's own pool makes a task for each release, and sends a reset. That costs as much as a query.
    """

    asks_a_server = True
    writes_in_queries = True

    def __init__(self, settings: Settings) -> None:
        """See `Connections`."""
        super().__init__(
            dialect(settings),
            size=settings.db_pool_size,
            writers=settings.db_pool_size,
            wait_timeout_seconds=settings.db_pool_timeout_seconds,
            retry_deadline_seconds=settings.db_command_timeout_seconds,
        )
        self._options = postgres_options(settings)
        self._connect_timeout_seconds = settings.db_connect_timeout_seconds
        self._command_timeout_seconds = settings.db_command_timeout_seconds
        self._idle: list[asyncpg.Connection] = []
        self._retiring: set[asyncio.Task[None]] = set()
        self._in_use = 0

    @property
    def in_use(self) -> int:
        """See `Connections`."""
        return self._in_use

    async def open(self) -> str:
        """See `Connections`."""
        with connect_errors():
            connection = await connect_to(self._options)
        self._idle.append(connection)
        return str(connection.get_settings().server_version).partition(" ")[0]

    async def unmet(self, purpose: Purpose) -> list[UnmetRequirement]:
        """See `Connections`."""
        async with self._connection() as connection:
            (facts,) = await connection.fetch(postgres_requirements.QUERY, *postgres_requirements.ARGUMENTS)
        limit = self._command_timeout_seconds
        return list(postgres_requirements.unmet(dict(facts), purpose, time_limit_seconds=limit))

    async def close(self) -> None:
        """See `Connections`."""
        while self._idle:
            self._retire(self._idle.pop())
        await asyncio.gather(*self._retiring, return_exceptions=True)

    async def _fetch(self, sql: str, arguments: list[Any]) -> Iterable[Iterable[Any]]:
        async with self._connection() as connection:
            return await connection.fetch(sql, *arguments)

    async def _transact(self, steps: Steps[T]) -> T:
        return await run_to_completion(self._run(steps))

    async def _run(self, steps: Steps[T]) -> T:
        async with self._connection() as connection:
            await connection.execute(BEGIN)
            try:
                result = await self._walk(connection, steps)
                await connection.execute("COMMIT")
            except _BROKEN:
                raise  # closing the connection rolls back, where ROLLBACK would wait as long again
            except BaseException:
                await _roll_back(connection)
                raise
            return result

    async def _walk(self, connection: asyncpg.Connection, steps: Steps[T]) -> T:
        try:
            statement, values = next(steps)
            while True:
                compiled = self._compiled(statement)
                found = await connection.fetch(compiled.sql, *compiled.arguments(values))
                statement, values = steps.send(compiled.rows(found))
        except StopIteration as end:
            return end.value  # type: ignore[no-any-return]
        finally:
            steps.close()

    @asynccontextmanager
    async def _connection(self) -> AsyncIterator[asyncpg.Connection]:
        """Take a connection, and give it back if it is as good as it was."""
        self._in_use += 1
        try:
            connection = await self._take()
            try:
                yield connection
            except asyncpg.PostgresError as exc:
                error = translated(exc)
                if isinstance(error, ConnectionLost):
                    connection.terminate()  # the server says that it is going to
                else:
                    self._give_back(connection)
                raise error from exc
            except _BROKEN as exc:
                # An internal error is what asyncpg meets when a server is gone in the middle of its words.
                lost = connection.is_closed() or isinstance(exc, asyncpg.InternalClientError)
                self._retire(connection)
                raise translated(exc, lost=lost) from exc
            except BaseException as exc:
                if isinstance(exc, asyncio.CancelledError):
                    self._retire(connection)
                else:
                    self._give_back(connection)
                raise
            self._give_back(connection)
        finally:
            self._in_use -= 1

    def _give_back(self, connection: asyncpg.Connection) -> None:
        if not connection.is_closed():
            self._idle.append(connection)

    def _retire(self, connection: asyncpg.Connection) -> None:
        """Close a connection behind the caller's back: what the server still does for it is called off."""
        retiring = asyncio.create_task(connection.close(timeout=self._connect_timeout_seconds))
        self._retiring.add(retiring)
        retiring.add_done_callback(self._retired)

    def _retired(self, retiring: asyncio.Task[None]) -> None:
        self._retiring.discard(retiring)
        retiring.exception()  # looked at; asyncpg hangs up in any case

    async def _take(self) -> asyncpg.Connection:
        """Return the connection that was used last, or a new one."""
        while self._idle:
            connection = self._idle.pop()
            if not connection.is_closed():
                return connection
        try:
            return await connect_to(self._options)
        except (asyncpg.PostgresError, *_BROKEN) as exc:
            raise translated(exc, is_connecting=True) from exc


async def connect(settings: Settings) -> asyncpg.Connection:
    """Connect as the repositories do.

    Raises:
        Exception: asyncpg's own, for the caller to translate.
    """
    return await connect_to(postgres_options(settings))


async def connect_to(options: PostgresOptions) -> asyncpg.Connection:
    """Connect to the first server that can be reached and fits, each with all of the time limit.

    asyncpg has one limit for all of them, so that one which does not answer would use it up.

    Raises:
        Exception: asyncpg's own, of the last server.
    """
    for host, port in options.hosts[:-1]:
        with suppress(OSError, asyncpg.CannotConnectNowError, asyncpg.TargetServerAttributeNotMatched):
            return await asyncpg.connect(host=host, port=port, **options.arguments)
    host, port = options.hosts[-1]
    return await asyncpg.connect(host=host, port=port, **options.arguments)


async def _roll_back(connection: asyncpg.Connection) -> None:
    try:
        await connection.execute("ROLLBACK")
    except (asyncpg.PostgresError, *_BROKEN):
        connection.terminate()
