"""Migrations of LMDB: one revision, which marks the database as EitherDB's."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import lmdb

from backends.errors import ForeignSchema, RevisionMismatch, SchemaMismatch
from config import Settings
from eitherdb_lmdb.store import REVISION, REVISION_KEY, Store, applied_revision
from migrations import MigrationError, Migrator, Revision, resolve_target


class LmdbMigrator:
    """`migrations.Migrator`: LMDB's write lock serialises concurrent instances."""

    def __init__(self, settings: Settings) -> None:
        """Use the database of these settings."""
        self._settings = settings

    async def upgrade(self, target: str = "head") -> list[str]:
        """See the protocol."""
        before = await self._known()
        if resolve_target(target, [REVISION], before) == "base" or before == REVISION:
            return []
        async with self._store() as store:
            is_new = await store.write(_mark)
        return [REVISION] if is_new else []

    async def downgrade(self, target: str) -> list[str]:
        """See the protocol. A downgrade below the first revision deletes all data."""
        before = await self._known()
        if resolve_target(target, [REVISION], before) == REVISION or before is None:
            return []
        async with self._store() as store:
            await store.empty()
        return [REVISION]

    async def current(self) -> str | None:
        """See the protocol."""
        async with self._store() as store:
            return await store.read(applied_revision)

    async def applied(self) -> dict[str, str]:
        """See `migrations.Migrator`. A database without a schema records no declared resources."""
        return {}

    def history(self) -> list[Revision]:
        """See the protocol."""
        return [Revision(REVISION, "mark the database")]

    async def check(self) -> list[str]:
        """See the protocol. LMDB has no schema: only the mark can be missing."""
        try:
            is_marked = await self._known() is not None
        except (ForeignSchema, SchemaMismatch) as exc:
            return [str(exc)]
        return [] if is_marked else ["the database is empty: run `eitherdb migrate upgrade`"]

    async def revision(self, message: str) -> Path:
        """See the protocol."""
        await self._known()
        raise MigrationError(f"write the revision {message!r} by hand: LMDB has no schema to compare with")

    async def _known(self) -> str | None:
        current = await self.current()
        if current not in {None, REVISION}:
            raise RevisionMismatch(current, REVISION)
        return current

    @asynccontextmanager
    async def _store(self) -> AsyncIterator[Store]:
        store = Store(self._settings)
        try:
            yield store
        finally:
            await store.close()


def _mark(transaction: lmdb.Transaction) -> bool:
    """Mark an empty environment. Return False if another instance has just done so."""
    if applied_revision(transaction) is not None:
        return False
    transaction.put(REVISION_KEY, REVISION.encode())
    return True


def open_migrator(settings: Settings) -> Migrator:
    """See `migrations.open_migrator`."""
    return LmdbMigrator(settings)
