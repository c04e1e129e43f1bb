"""The backend for PostgreSQL and SQLite: connections and repositories."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib.metadata import version
from typing import TYPE_CHECKING, Any, TypeVar

from backends.capabilities import Capability
from backends.ids import Clock, IdSource
from backends.models import with_items
from backends.models.resources import Resource
from backends.protocols import (
    AccountRepository,
    Backend,
    CounterRepository,
    ItemRepository,
    ResourceRepository,
    ServerInfo,
    UserRepository,
)
from backends.requirements import Purpose, UnmetRequirement
from backends.resource_rows import require_served
from backends.rows.stored import Place, RowKind, StoredRow
from backends.sql.accounts import SqlAccountRepository
from backends.sql.connections import Connections
from backends.sql.counters import SqlCounterRepository
from backends.sql.resource_statements import resource_statements
from backends.sql.resources import SqlResourceRepository
from backends.sql.rows import read_rows
from backends.sql.schema import METADATA
from backends.sql.schema_check import answer, check_schema
from backends.sql.users import SqlUserRepository

if TYPE_CHECKING:
    from config import Settings

R = TypeVar("R", bound=Resource)


class SqlBackend:
    """`backends.protocols.Backend` on open connections."""

    def __init__(
        self,
        connections: Connections,
        settings: Settings,
        server: ServerInfo,
        *,
        clock: Clock,
        id_source: IdSource,
        resources: Sequence[type[Resource]] = (),
    ) -> None:
        """Take ownership of the connections; `close` closes them."""
        self._connections = connections
        self._on_sqlite = settings.db_backend == "sqlite"
        self.server = server
        self.capabilities = frozenset({Capability.TRANSACTIONS, Capability.SCHEMA_VALIDATION})
        classes = with_items(resources)
        statements = resource_statements([cls.__resource__ for cls in classes.values()])
        self.users: UserRepository = SqlUserRepository(
            self._connections,
            retry_deadline_seconds=settings.db_command_timeout_seconds,
            clock=clock,
            id_source=id_source,
            resources=tuple(statements.values()),
        )
        self._tables = {**METADATA.tables, **{name: each.table for name, each in statements.items()}}
        self.resources: Mapping[str, ResourceRepository[Any]] = {
            name: SqlResourceRepository(
                self._connections,
                cls,
                statements[name],
                retry_deadline_seconds=settings.db_command_timeout_seconds,
                clock=clock,
                id_source=id_source,
            )
            for name, cls in classes.items()
        }
        self.items: ItemRepository = self.resources["items"]
        self._classes = classes
        self.accounts: AccountRepository = SqlAccountRepository(
            self._connections,
            capabilities=self.capabilities,
            wait_timeout_seconds=settings.db_pool_timeout_seconds,
            retry_deadline_seconds=settings.db_command_timeout_seconds,
            clock=clock,
            id_source=id_source,
        )
        self.counters: CounterRepository = SqlCounterRepository(
            self._connections, on_sqlite=self._on_sqlite, clock=clock
        )

    def repository(self, cls: type[R]) -> ResourceRepository[R]:
        """See the protocol."""
        return self.resources[require_served(cls, self._classes)]

    @property
    def connections_in_use(self) -> int:
        """See the protocol."""
        return self._connections.in_use

    async def check_server(self, purpose: Purpose) -> list[UnmetRequirement]:
        """See the protocol."""
        return await self._connections.unmet(purpose, [each.spec for each in self.resources.values()])

    async def read_rows(
        self, kind: RowKind, *, by: Sequence[str], start: Place | None, limit: int
    ) -> list[StoredRow]:
        """See the protocol."""
        return await read_rows(self._connections, self._tables[kind], by=by, start=start, limit=limit)

    async def check_schema(self) -> None:
        """See the protocol."""
        queries = check_schema(self._tables, self.resources, on_sqlite=self._on_sqlite)
        await answer(queries, self._connections.query)

    async def close(self) -> None:
        """See the protocol."""
        await self._connections.close()


async def open_backend(
    settings: Settings,
    *,
    clock: Clock,
    id_source: IdSource,
    resources: Sequence[type[Resource]] = (),
) -> Backend:
    """See `backends.open_backend`."""
    connections = open_connections(settings)
    try:
        server_version = await connections.open()
    except BaseException:
        await connections.close()
        raise
    if settings.db_backend == "sqlite":
        server = ServerInfo(product="SQLite", version=server_version, driver="sqlite3")
    else:
        driver = f"asyncpg {version('asyncpg')}"
        server = ServerInfo(product="PostgreSQL", version=server_version, driver=driver)
    return SqlBackend(connections, settings, server, clock=clock, id_source=id_source, resources=resources)


def open_connections(settings: Settings) -> Connections:
    """Return the connections for the settings; they connect when they are opened.

    Only the driver of the configured database is imported.

    Raises:
        BackendError: The URL is invalid.
    """
    if settings.db_backend == "sqlite":
        from backends.sql.sqlite import SqliteConnections  # noqa: PLC0415

        return SqliteConnections(settings)
    from backends.sql.postgres import PostgresConnections  # noqa: PLC0415

    return PostgresConnections(settings)
