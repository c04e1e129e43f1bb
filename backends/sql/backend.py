"""Opens PostgreSQL or SQLite: engine, probe, repositories."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version
from typing import TYPE_CHECKING

from sqlalchemy import inspect, text
from sqlalchemy.exc import DBAPIError

from backends.capabilities import Capability
from backends.errors import BackendError, SchemaMismatch, Unavailable
from backends.ids import Clock, IdSource
from backends.protocols import (
    AccountRepository,
    Backend,
    CounterRepository,
    ItemRepository,
    ServerInfo,
    UserRepository,
)
from backends.sql.accounts import SqlAccountRepository
from backends.sql.connections import Connections
from backends.sql.counters import SqlCounterRepository
from backends.sql.engine import create_engine, first_connection
from backends.sql.errors import translate_errors
from backends.sql.items import SqlItemRepository
from backends.sql.schema import REVISION
from backends.sql.users import SqlUserRepository

if TYPE_CHECKING:
    from sqlalchemy.engine import Connection
    from sqlalchemy.ext.asyncio import AsyncEngine

    from config import Settings

# RETURNING came with SQLite 3.35 (https://www.sqlite.org/lang_returning.html).
SQLITE_MIN_VERSION = (3, 35, 0)


class SqlBackend:
    """`backends.protocols.Backend` on an open engine."""

    def __init__(
        self,
        engine: AsyncEngine,
        settings: Settings,
        server: ServerInfo,
        *,
        clock: Clock,
        id_source: IdSource,
    ) -> None:
        """Take over the engine: `close` disposes of it."""
        self._engine = engine
        on_sqlite = engine.dialect.name == "sqlite"
        self._connections = Connections(
            engine,
            size=settings.db_pool_size,
            writers=1 if on_sqlite else settings.db_pool_size,
            # A transaction that reads first and writes later can't wait for another writer in SQLite.
            begin="BEGIN IMMEDIATE" if on_sqlite else "BEGIN",
            interruptible=not on_sqlite,
            wait_timeout_seconds=settings.db_pool_timeout_seconds,
            retry_deadline_seconds=settings.db_command_timeout_seconds,
            interrupt_after_seconds=settings.db_command_timeout_seconds if on_sqlite else None,
        )
        self.server = server
        self.capabilities = frozenset({Capability.TRANSACTIONS, Capability.SCHEMA_VALIDATION})
        self.users: UserRepository = SqlUserRepository(
            self._connections,
            retry_deadline_seconds=settings.db_command_timeout_seconds,
            clock=clock,
            id_source=id_source,
        )
        self.items: ItemRepository = SqlItemRepository(self._connections, clock=clock, id_source=id_source)
        self.accounts: AccountRepository = SqlAccountRepository(
            self._connections,
            capabilities=self.capabilities,
            wait_timeout_seconds=settings.db_pool_timeout_seconds,
            retry_deadline_seconds=settings.db_command_timeout_seconds,
            clock=clock,
            id_source=id_source,
        )
        self.counters: CounterRepository = SqlCounterRepository(
            self._connections, dialect=engine.dialect.name, clock=clock
        )

    @property
    def connections_in_use(self) -> int:
        """See the protocol."""
        return self._connections.in_use

    async def check_schema(self) -> None:
        """See the protocol. The revision is the one that Alembic records."""
        with translate_errors():
            async with self._engine.connect() as connection:
                applied = await connection.run_sync(applied_revision)
        if applied != REVISION:
            raise SchemaMismatch(applied, REVISION)

    async def close(self) -> None:
        """See the protocol."""
        await self._connections.close()


async def open_backend(settings: Settings, *, clock: Clock, id_source: IdSource) -> Backend:
    """See `backends.open_backend`."""
    engine = create_engine(settings)
    try:
        server = await _probe(engine, settings)
    except BaseException:
        await engine.dispose()
        raise
    return SqlBackend(engine, settings, server, clock=clock, id_source=id_source)


async def _probe(engine: AsyncEngine, settings: Settings) -> ServerInfo:
    """Connect once; learn what answers."""
    on_sqlite = engine.dialect.name == "sqlite"
    query = "SELECT sqlite_version()" if on_sqlite else "SELECT current_setting('server_version')"
    with connect_errors():
        connection = await first_connection(engine, settings)
        try:
            server_version = str((await connection.execute(text(query))).scalar_one())
        finally:
            await connection.close()
    if not on_sqlite:
        return ServerInfo(
            product="PostgreSQL",
            version=server_version.partition(" ")[0],
            driver=f"asyncpg {version('asyncpg')}",
        )
    if tuple(map(int, server_version.split("."))) < SQLITE_MIN_VERSION:
        needed = ".".join(map(str, SQLITE_MIN_VERSION))
        raise BackendError(f"SQLite {server_version} is too old: EitherDB needs {needed} or newer")
    return ServerInfo(product="SQLite", version=server_version, driver=f"aiosqlite {version('aiosqlite')}")


@contextmanager
def connect_errors() -> Iterator[None]:
    """Translate what fails while connecting, with the driver's own words.

    They are all that an operator has to go by (which password, which database name), and hold no secret.
    """
    try:
        with translate_errors():
            yield
    except Unavailable:
        raise
    except BackendError as exc:
        cause = exc.__cause__
        words = (
            cause.orig.__cause__ or cause.orig if isinstance(cause, DBAPIError) and cause.orig else cause
        )
        raise BackendError(str(words)) from exc
    except (ValueError, OverflowError) as exc:
        raise BackendError(f"the URL can't be used: {exc}") from exc
    except TypeError as exc:
        raise BackendError(f"the URL has a parameter that the driver does not know: {exc}") from exc


def applied_revision(connection: Connection) -> str | None:
    """Return the revision that Alembic recorded; None for a database that it never touched."""
    if not inspect(connection).has_table("alembic_version"):
        return None
    return connection.execute(text("SELECT version_num FROM alembic_version")).scalar()
