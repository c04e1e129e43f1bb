"""The LMDB backend: the store and its repositories."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib.metadata import version
from typing import Any, TypeVar

import lmdb

from backends.capabilities import Capability
from backends.errors import ResourcesMissing, RevisionMismatch
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
from backends.rows import Place, RowKind, StoredRow
from config import Settings
from eitherdb_lmdb.accounts import LmdbAccountRepository
from eitherdb_lmdb.counters import LmdbCounterRepository
from eitherdb_lmdb.references import References
from eitherdb_lmdb.resources import LmdbResourceRepository
from eitherdb_lmdb.store import REVISION, Store, applied_histories, applied_revision
from eitherdb_lmdb.stored import read_rows
from eitherdb_lmdb.users import LmdbUserRepository

R = TypeVar("R", bound=Resource)


class LmdbBackend:
    """`backends.protocols.Backend` on an open store."""

    capabilities = frozenset({Capability.TRANSACTIONS})

    def __init__(
        self,
        store: Store,
        settings: Settings,
        *,
        clock: Clock,
        id_source: IdSource,
        resources: Sequence[type[Resource]],
    ) -> None:
        """Take ownership of the store: `close` closes it."""
        self._store = store
        self.server = ServerInfo(
            product="LMDB",
            version=".".join(str(part) for part in lmdb.version()),
            driver=f"lmdb {version('lmdb')}",
        )
        classes = with_items(resources)
        references = References(classes)
        self.users: UserRepository = LmdbUserRepository(store, references, clock=clock, id_source=id_source)
        self.resources: Mapping[str, ResourceRepository[Any]] = {
            name: LmdbResourceRepository(store, cls, references, clock=clock, id_source=id_source)
            for name, cls in classes.items()
        }
        self.items: ItemRepository = self.resources["items"]
        self._classes = classes
        self.accounts: AccountRepository = LmdbAccountRepository(
            store,
            capabilities=self.capabilities,
            wait_timeout_seconds=settings.db_pool_timeout_seconds,
            retry_deadline_seconds=settings.db_command_timeout_seconds,
            clock=clock,
            id_source=id_source,
        )
        self.counters: CounterRepository = LmdbCounterRepository(store, clock=clock)

    def repository(self, cls: type[R]) -> ResourceRepository[R]:
        """See the protocol."""
        return self.resources[require_served(cls, self._classes)]

    @property
    def connections_in_use(self) -> int:
        """See the protocol. A connection is a thread here."""
        return self._store.in_use

    async def check_server(self, purpose: Purpose) -> list[UnmetRequirement]:
        """See the protocol. LMDB has no server, and a user without write permission can't open the file."""
        del purpose
        return []

    async def read_rows(
        self, kind: RowKind, *, by: Sequence[str], start: Place | None, limit: int
    ) -> list[StoredRow]:
        """See the protocol."""
        resource = self.resources.get(kind)
        spec = None if resource is None else resource.spec
        return await self._store.read(
            lambda transaction: read_rows(transaction, kind, spec, by=by, start=start, limit=limit)
        )

    async def check_schema(self) -> None:
        """See the protocol."""
        applied = await self._store.read(applied_revision)
        if applied != REVISION:
            raise RevisionMismatch(applied, REVISION)
        histories = await self._store.read(applied_histories)
        added = {name for record in histories.values() for name in record["resources"]}
        if missing := [name for name in self.resources if name not in {"items", *added}]:
            raise ResourcesMissing(missing)

    async def close(self) -> None:
        """See the protocol."""
        await self._store.close()


async def open_backend(
    settings: Settings,
    *,
    clock: Clock,
    id_source: IdSource,
    resources: Sequence[type[Resource]] = (),
) -> Backend:
    """See `backends.open_backend`."""
    store = Store(settings)
    return LmdbBackend(store, settings, clock=clock, id_source=id_source, resources=resources)
