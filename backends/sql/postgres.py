"""PostgreSQL connections with asyncpg."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Iterable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, TypeVar

import asyncpg

from backends.cancellation import run_to_completion
from backends.errors import ConnectionLost
from backends.sql import postgres_facts, postgres_requirements
from backends.sql.connections import Connections, Steps
from backends.sql.engine import dialect
from backends.sql.errors import connect_errors, sqlstate_of, translated
from backends.sql.postgres_connect import connect_to, connect_without_state
from backends.sql.postgres_pool import Pool, Session
from backends.sql.postgres_pooler import (
    fetch_unnamed,
    find_schema,
    is_pooled,
    options_behind_pooler,
    set_search_path,
)
from backends.sql.postgres_url import postgres_options

if TYPE_CHECKING:
    from backends.models.resources import ResourceSpec
    from backends.requirements import Purpose, UnmetRequirement
    from config import Settings

T = TypeVar("T")

_BROKEN = (asyncpg.InterfaceError, asyncpg.InternalClientError, OSError)
"""Errors, including timeouts, after which the state of a connection is unknown."""

BEGIN = "BEGIN"

_RENEW = {
    "25006",  # read_only_sql_transaction: the server was demoted or replaced
    "25P02",  # in_failed_sql_transaction
    "26000",  # invalid_sql_statement_name, 42P05 duplicate_prepared_statement: the session was changed
    "42P05",
    "42501",  # insufficient_privilege: the role's settings may have changed; a new session reads them
}
"""Codes that mean that the session is unusable, but a new one may work. The statement had no effect."""

_ENDED_BEFORE = {
    "57P05",  # idle_session_timeout
    "25P03",  # idle_in_transaction_session_timeout: the transaction was rolled back
}
"""Codes with which a server ends an idle session. `BrokenPipeError` has the same meaning: nothing more can
be sent, so the end of the statement or transaction never reached the server."""

_NOT_SENT_ON = "query_wait_timeout"
"""PgBouncer's message, which has no code, if no server took the statement in time."""

_NOT_BEGUN = "cannot switch to state"
"""asyncpg's message if the server has ended the session and the event loop has not noticed yet."""


class _UnfitSession(Exception):
    """The session was unusable, so the statement or transaction had no effect. Another session may work."""

    def __init__(self, error: Exception) -> None:
        super().__init__(str(error))
        self.error = error


class PostgresConnections(Connections):
    """Runs statements on the connections of a `Pool`."""

    asks_a_server = True
    writes_in_queries = True

    def __init__(self, settings: Settings) -> None:
        """See `Connections`."""
        super().__init__(dialect(settings), retry_deadline_seconds=settings.db_command_timeout_seconds)
        self._options = postgres_options(settings)
        self._connect_timeout_seconds = settings.db_connect_timeout_seconds
        self._command_timeout_seconds = settings.db_command_timeout_seconds
        self._pool = Pool(
            self._connect,
            size=settings.db_pool_size,
            wait_timeout_seconds=settings.db_pool_timeout_seconds,
            close_timeout_seconds=settings.db_connect_timeout_seconds,
        )
        self._fetch_on: Callable[[Session, str, list[Any]], Awaitable[Iterable[Iterable[Any]]]] = (
            _fetch_named
        )
        self._schema: str | None = None
        self._in_use = 0

    @property
    def in_use(self) -> int:
        """See `Connections`."""
        return self._in_use

    async def open(self) -> str:
        """See `Connections`."""
        with connect_errors():
            connection = await self._connect_first()
        self._pool.add(connection)
        return str(connection.get_settings().server_version).partition(" ")[0]

    async def unmet(self, purpose: Purpose, resources: Collection[ResourceSpec]) -> list[UnmetRequirement]:
        """See `Connections`."""
        arguments = postgres_requirements.arguments(resources)
        (facts,) = await self._in_schema(postgres_facts.QUERY, *arguments)
        limit = self._command_timeout_seconds
        return list(postgres_requirements.unmet(dict(facts), purpose, time_limit_seconds=limit))

    async def _connect_first(self) -> Session:
        """Connect, and detect whether a connection pooler is in between."""
        options = self._options
        connection = await connect_without_state(options)
        if options.keeps_statements and not await is_pooled(connection):
            return connection
        await connection.close(timeout=self._connect_timeout_seconds)
        self._options = options_behind_pooler(options)
        connection = await self._connect()
        try:
            self._schema = await find_schema(connection, options)
        except BaseException:
            connection.terminate()
            raise
        self._compile_for(self._schema)
        if not self._options.keeps_statements:
            self._fetch_on = fetch_unnamed
        return connection

    async def _connect(self) -> Session:
        connection = await connect_to(self._options)
        if self._schema is not None:
            # A pooler accepts any number of clients and lets them wait for a session.
            try:
                await connection.fetchval("SELECT 1", timeout=self._connect_timeout_seconds)
            except BaseException as exc:
                connection.terminate()
                if isinstance(exc, TimeoutError):
                    raise asyncpg.TooManyConnectionsError(
                        f"the connection pooler had no session in {self._connect_timeout_seconds:g} s"
                    ) from exc
                raise
        return connection

    async def query(self, sql: str) -> list[tuple[Any, ...]]:
        """See `Connections`."""
        return [tuple(row) for row in await self._in_schema(sql)]

    async def _in_schema(self, sql: str, *arguments: Any) -> list[asyncpg.Record]:
        """Run a query that depends on the search path, which must be set first behind a pooler."""

        async def query(session: Session) -> list[asyncpg.Record]:
            await set_search_path(session, self._schema)
            rows: list[asyncpg.Record] = await session.fetch(sql, *arguments)
            return rows

        if self._schema is None:
            return await self._on_session(query)
        return await self._on_session(lambda session: _in_transaction(session, query))

    async def close(self) -> None:
        """See `Connections`."""
        await self._pool.close()

    async def _fetch(self, sql: str, arguments: list[Any]) -> Iterable[Iterable[Any]]:
        return await self._on_session(lambda session: self._fetch_on(session, sql, arguments))

    async def _transact(self, steps: Callable[[], Steps[T]]) -> T:
        return await run_to_completion(
            self._on_session(
                lambda session: _in_transaction(session, lambda session: self._walk(session, steps()))
            )
        )

    async def _walk(self, session: Session, steps: Steps[T]) -> T:
        try:
            statement, values = next(steps)
            while True:
                compiled = self._compiled(statement)
                found = await self._fetch_on(session, compiled.sql, compiled.arguments(values))
                statement, values = steps.send(compiled.rows(found))
        except StopIteration as end:
            return end.value  # type: ignore[no-any-return]
        finally:
            steps.close()

    async def _on_session(self, work: Callable[[Session], Awaitable[T]]) -> T:
        """Run the work in a session; if it is unusable, retry in others until the deadline."""
        try:
            async with self._session() as session:
                return await work(session)
        except _UnfitSession:
            loop = asyncio.get_running_loop()
            deadline = loop.time() + self._retry_deadline_seconds
        while True:
            try:
                async with self._session() as session:
                    return await work(session)
            except _UnfitSession as unfit:
                if loop.time() >= deadline:
                    raise unfit.error from unfit.__cause__

    @asynccontextmanager
    async def _session(self) -> AsyncIterator[Session]:
        """Take a connection from the pool, and return or retire it afterwards."""
        session = await self._pool.take()
        self._in_use += 1
        try:
            yield session
        except asyncpg.PostgresError as exc:
            error = translated(exc)
            if isinstance(error, ConnectionLost):
                session.terminate()  # the server has announced the end of the session
            unfit = self._is_unfit(session, exc)
            self._pool.give_back(session)
            raise (_UnfitSession(error) if unfit else error) from exc
        except _BROKEN as exc:
            # asyncpg raises an internal error if the connection breaks in the middle of a message.
            lost = session.is_closed() or isinstance(exc, asyncpg.InternalClientError)
            self._pool.retire(session)
            error = translated(exc, lost=lost)
            raise (_UnfitSession(error) if _NOT_BEGUN in str(exc) else error) from exc
        except BaseException as exc:
            if isinstance(exc, asyncio.CancelledError):
                self._pool.retire(session)
            else:
                self._pool.give_back(session)
            raise
        else:
            self._pool.give_back(session)
        finally:
            self._in_use -= 1

    def _is_unfit(self, session: Session, exc: asyncpg.PostgresError) -> bool:
        """Return whether the session was unusable and the work had no effect; retire such sessions."""
        code = sqlstate_of(exc)
        if code in _RENEW:
            return self._pool.renew(session)
        return (
            code in _ENDED_BEFORE or _NOT_SENT_ON in str(exc) or isinstance(exc.__cause__, BrokenPipeError)
        )


def _fetch_named(session: Session, sql: str, arguments: list[Any]) -> Awaitable[Iterable[Iterable[Any]]]:
    found: Awaitable[Iterable[Iterable[Any]]] = session.fetch(sql, *arguments)
    return found


async def _in_transaction(session: Session, work: Callable[[Session], Awaitable[T]]) -> T:
    await session.execute(BEGIN)
    try:
        result = await work(session)
        await session.execute("COMMIT")
    except _BROKEN:
        raise  # closing the connection rolls back; ROLLBACK would wait for another timeout
    except BaseException:
        await _roll_back(session)
        raise
    return result


async def _roll_back(connection: asyncpg.Connection) -> None:
    try:
        await connection.execute("ROLLBACK")
    except (asyncpg.PostgresError, *_BROKEN):
        connection.terminate()
