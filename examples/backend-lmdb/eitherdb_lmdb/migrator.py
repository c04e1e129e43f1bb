"""Migrations of LMDB: one revision, which marks the database as EitherDB's."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from backends.errors import SchemaMismatch
from config import Settings
from eitherdb_lmdb.store import REVISION, REVISION_KEY, Store, value_at
from migrations import MigrationError, Migrator, Revision, resolve_target


class LmdbMigrator:
    """`migrations.Migrator`: LMDB's lock for writers lets instances take turns."""

    def __init__(self, settings: Settings) -> None:
        """Work on the database of these settings."""
        self._settings = settings

    async def upgrade(self, target: str = "head") -> list[str]:
        """See the protocol."""
        before = await self._known()
        if resolve_target(target, [REVISION], before) == "base" or before == REVISION:
            return []
        async with self._store() as store:
            is_new = await store.write(
                lambda transaction: transaction.put(REVISION_KEY, REVISION.encode(), overwrite=False)
            )
        return [REVISION] if is_new else []

    async def downgrade(self, target: str) -> list[str]:
        """See the protocol. Before the first revision there is nothing: all data is lost."""
        before = await self._known()
        if resolve_target(target, [REVISION], before) == REVISION or before is None:
            return []
        async with self._store() as store:
            await store.empty()
        return [REVISION]

    async def current(self) -> str | None:
        """See the protocol."""
        async with self._store() as store:
            kept = await store.read(lambda transaction: value_at(transaction, REVISION_KEY))
        return None if kept is None else kept.decode()

    def history(self) -> list[Revision]:
        """See the protocol."""
        return [Revision(REVISION, "mark the database")]

    async def check(self) -> list[str]:
        """See the protocol. LMDB knows no schema: only the mark can be missing."""
        is_marked = await self.current() is not None
        return [] if is_marked else ["the database is empty: run `eitherdb migrate upgrade`"]

    async def revision(self, message: str) -> Path:
        """See the protocol."""
        raise MigrationError(f"write the revision {message!r} by hand: LMDB has no schema to compare with")

    async def _known(self) -> str | None:
        current = await self.current()
        if current not in {None, REVISION}:
            raise SchemaMismatch(current, REVISION)
        return current

    @asynccontextmanager
    async def _store(self) -> AsyncIterator[Store]:
        store = Store(self._settings)
        yield store
        await store.close()


def open_migrator(settings: Settings) -> Migrator:
    """See `migrations.open_migrator`."""
    return LmdbMigrator(settings)
