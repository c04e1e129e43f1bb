"""Migrations of LMDB: a revision that marks the database as EitherDB's, and those of declared resources.

LMDB has no schema. A revision of declared resources changes rows and their indexes, and is recorded.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import lmdb

from backends.errors import ForeignSchema, RevisionMismatch, SchemaMismatch
from config import Settings
from eitherdb_lmdb.evolution import change_rows
from eitherdb_lmdb.keys import remove
from eitherdb_lmdb.store import (
    HISTORY_PREFIX,
    REVISION,
    REVISION_KEY,
    Store,
    applied_histories,
    applied_revision,
)
from migrations import MigrationError, Migrator, Revision, resolve_target
from migrations.resources.history import History
from migrations.resources.plan import behind, split_target, to_apply, to_revert


class LmdbMigrator:
    """`migrations.Migrator`. Each method is one transaction: LMDB's write lock serialises instances."""

    def __init__(self, settings: Settings, histories: Sequence[History] = ()) -> None:
        """Use the database of these settings, and the revisions of declared resources."""
        self._settings = settings
        self._histories = histories

    async def upgrade(self, target: str = "head") -> list[str]:
        """See the protocol."""

        def work(transaction: lmdb.Transaction) -> list[str]:
            before, done = _known(transaction), []
            missing = to_apply(target, self._histories, _applied(transaction))
            own = "head" if split_target(target, self._histories)[0] else target
            if resolve_target(own, [REVISION], before) != "base" and before is None:
                transaction.put(REVISION_KEY, REVISION.encode())
                done.append(REVISION)
            for history, number in missing:
                change_rows(transaction, history, number, "upgrade")
                _record(transaction, history, number)
                done.append(f"{history.name}:{number}")
            return done

        async with self._store() as store:
            return await store.write(work)

    async def downgrade(self, target: str) -> list[str]:
        """See the protocol. A downgrade below the first revision deletes all data."""

        def work(transaction: lmdb.Transaction) -> list[str]:
            before, done = _known(transaction), []
            for history, number in to_revert(target, self._histories, _applied(transaction)):
                change_rows(transaction, history, number, "downgrade")
                earlier = [each for each in history.numbers if each < number]
                _record(transaction, history, earlier[-1] if earlier else None)
                done.append(f"{history.name}:{number}")
            if split_target(target, self._histories)[0]:
                return done
            if before is not None and resolve_target(target, [REVISION], before) == "base":
                remove(transaction, b"")
                done.append(REVISION)
            return done

        async with self._store() as store:
            return await store.write(work)

    async def current(self) -> str | None:
        """See the protocol."""
        async with self._store() as store:
            return await store.read(applied_revision)

    async def applied(self) -> dict[str, str]:
        """See the protocol."""
        async with self._store() as store:
            return await store.read(_applied)

    def history(self) -> list[Revision]:
        """See the protocol."""
        return [Revision(REVISION, "mark the database")]

    async def check(self) -> list[str]:
        """See the protocol. LMDB has no schema: only records can be missing."""

        def work(transaction: lmdb.Transaction) -> list[str]:
            if _known(transaction) is None:
                return ["the database is empty: run `eitherdb migrate upgrade`"]
            return behind(self._histories, _applied(transaction))

        try:
            async with self._store() as store:
                return await store.read(work)
        except (ForeignSchema, SchemaMismatch) as exc:
            return [str(exc)]

    async def revision(self, message: str) -> Path:
        """See the protocol."""
        async with self._store() as store:
            await store.read(_known)
        raise MigrationError(f"write the revision {message!r} by hand: LMDB has no schema to compare with")

    @asynccontextmanager
    async def _store(self) -> AsyncIterator[Store]:
        store = Store(self._settings)
        try:
            yield store
        finally:
            await store.close()


def _known(transaction: lmdb.Transaction) -> str | None:
    current = applied_revision(transaction)
    if current not in {None, REVISION}:
        raise RevisionMismatch(current, REVISION)
    return current


def _applied(transaction: lmdb.Transaction) -> dict[str, str]:
    return {name: record["number"] for name, record in applied_histories(transaction).items()}


def _record(transaction: lmdb.Transaction, history: History, number: str | None) -> None:
    """Record the newest revision of a history, with the resources that it leaves; None for none."""
    key = HISTORY_PREFIX + history.name.encode()
    record = {"number": number, "resources": list(history.after(number))}
    if number is None:
        transaction.delete(key)
    else:
        transaction.put(key, json.dumps(record).encode())


def open_migrator(settings: Settings, histories: Sequence[History] = ()) -> Migrator:
    """See `migrations.open_migrator`."""
    return LmdbMigrator(settings, histories)
