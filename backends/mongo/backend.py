"""The MongoDB backend: opens the client, probes the server, creates the repositories."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from backends.capabilities import Capability
from backends.errors import ResourcesMissing, RevisionMismatch, SchemaDrifted
from backends.ids import Clock, IdSource
from backends.models import with_items
from backends.models.resources import Resource
from backends.mongo import requirements
from backends.mongo.accounts import MongoAccountRepository
from backends.mongo.counters import MongoCounterRepository
from backends.mongo.drift import read_drift
from backends.mongo.driver import open_driver
from backends.mongo.errors import connect_errors, translate_errors
from backends.mongo.ownership import NAMES, read_occupancy
from backends.mongo.references import References
from backends.mongo.resource_collections import collections_of
from backends.mongo.resources import MongoResourceRepository
from backends.mongo.rows import read_rows
from backends.mongo.schema import REVISION
from backends.mongo.users import MongoUserRepository
from backends.protocols import (
    AccountRepository,
    Backend,
    CounterRepository,
    ItemRepository,
    ServerInfo,
    UserRepository,
)
from backends.protocols.resources import ResourceRepository
from backends.requirements import Purpose, UnmetRequirement
from backends.resource_rows import require_served
from backends.rows.stored import Place, RowKind, StoredRow

if TYPE_CHECKING:
    from backends.mongo.driver import Driver
    from config import Settings

R = TypeVar("R", bound=Resource)


class MongoBackend:
    """`backends.protocols.Backend` on a connected driver."""

    def __init__(
        self,
        driver: Driver,
        *,
        server: ServerInfo,
        capabilities: frozenset[Capability],
        wait_timeout_seconds: float,
        retry_deadline_seconds: float,
        majority_wait_seconds: float,
        clock: Clock,
        id_source: IdSource,
        resources: Sequence[type[Resource]] = (),
    ) -> None:
        """Take ownership of the driver: `close` closes it."""
        self._driver = driver
        self._majority_wait_seconds = majority_wait_seconds
        self.server = server
        self.capabilities = capabilities
        classes = with_items(resources)
        specs = [cls.__resource__ for cls in classes.values()]
        self._collections = collections_of(specs)
        references = References(
            driver,
            specs,
            wait_timeout_seconds=wait_timeout_seconds,
            retry_deadline_seconds=retry_deadline_seconds,
        )
        self._users = MongoUserRepository(
            driver,
            references=references,
            capabilities=capabilities,
            retry_deadline_seconds=retry_deadline_seconds,
            clock=clock,
            id_source=id_source,
        )
        self.users: UserRepository = self._users
        self.resources: Mapping[str, ResourceRepository[Any]] = {
            name: MongoResourceRepository(
                driver,
                cls,
                references=references,
                capabilities=capabilities,
                retry_deadline_seconds=retry_deadline_seconds,
                clock=clock,
                id_source=id_source,
            )
            for name, cls in classes.items()
        }
        self.items: ItemRepository = self.resources["items"]
        self._classes = classes
        self.accounts: AccountRepository = MongoAccountRepository(
            driver,
            capabilities=capabilities,
            wait_timeout_seconds=wait_timeout_seconds,
            retry_deadline_seconds=retry_deadline_seconds,
            clock=clock,
            id_source=id_source,
        )
        self.counters: CounterRepository = MongoCounterRepository(driver, clock=clock)

    def repository(self, cls: type[R]) -> ResourceRepository[R]:
        """See the protocol."""
        return self.resources[require_served(cls, self._classes)]

    @property
    def connections_in_use(self) -> int:
        """See the protocol."""
        return self._driver.connections_in_use

    async def check_server(self, purpose: Purpose) -> list[UnmetRequirement]:
        """See the protocol."""
        return await requirements.unmet(
            self._driver,
            self.server.version,
            purpose,
            self.resources,
            wait_seconds=self._majority_wait_seconds,
        )

    async def read_rows(
        self, kind: RowKind, *, by: Sequence[str], start: Place | None, limit: int
    ) -> list[StoredRow]:
        """See the protocol."""
        resource = self.resources.get(kind)
        spec = None if resource is None else resource.spec
        return await read_rows(self._driver, kind, spec, by=by, start=start, limit=limit)

    async def check_schema(self) -> None:
        """See the protocol. If the schema matches, finish deletions that a dead process left."""
        with translate_errors():
            found = await read_occupancy(self._driver.database, self._collections)
        applied = found.applied
        if applied is None or applied <= REVISION:
            found.refuse_foreign()
            applied = found.intact  # An interrupted downgrade may have dropped collections.
        if applied != REVISION:
            raise RevisionMismatch(applied, REVISION)
        if missing := [name for name in self.resources if name not in found.recognised]:
            raise ResourcesMissing(missing)
        declared = [spec for spec in self._collections if spec.name not in NAMES]
        if differences := await read_drift(self._driver.database, declared, found.options):
            raise SchemaDrifted(differences)
        await self._users.sweep_deleted()

    async def close(self) -> None:
        """See the protocol."""
        await self._driver.close()


async def open_backend(
    settings: Settings, *, clock: Clock, id_source: IdSource, resources: Sequence[type[Resource]] = ()
) -> Backend:
    """See `backends.open_backend`."""
    with connect_errors():
        driver = open_driver(settings)
    try:
        server, capabilities = await _probe(driver)
    except BaseException:
        await driver.close()
        raise
    return MongoBackend(
        driver,
        server=server,
        capabilities=capabilities,
        wait_timeout_seconds=settings.db_pool_timeout_seconds,
        retry_deadline_seconds=settings.db_command_timeout_seconds,
        majority_wait_seconds=settings.db_connect_timeout_seconds,
        clock=clock,
        id_source=id_source,
        resources=resources,
    )


async def _probe(driver: Driver) -> tuple[ServerInfo, frozenset[Capability]]:
    """Return the server's version and capabilities; standalone servers have no transactions.

    https://www.mongodb.com/docs/manual/reference/command/hello/
    """
    with connect_errors():
        hello = await driver.database.command("hello")
        build = await driver.database.command("buildInfo")
    capabilities = {Capability.SCHEMA_VALIDATION}
    if "setName" in hello or hello.get("msg") == "isdbgrid":
        capabilities.add(Capability.TRANSACTIONS)
    server = ServerInfo(product="MongoDB", version=str(build["version"]), driver=driver.name)
    return server, frozenset(capabilities)
