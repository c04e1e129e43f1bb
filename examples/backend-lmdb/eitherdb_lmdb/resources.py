"""The rows of a resource in LMDB."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any, Generic, TypeVar

import lmdb
from pydantic import BaseModel

from backends.idempotency import AddedRow
from backends.ids import Clock, IdSource
from backends.models import Idempotency, Page, Position
from backends.models.resources import Resource, ResourceSpec
from backends.models.resources.filters import require_known
from backends.protocols.resources import NO_FILTERS
from backends.resource_conditions import condition_of
from backends.resource_rows import accessible, change_row, new_rows
from eitherdb_lmdb.references import References
from eitherdb_lmdb.store import Store
from eitherdb_lmdb.tables import Table
from eitherdb_lmdb.transfers import find_outcome, keep

R = TypeVar("R", bound=Resource)


class LmdbResourceRepository(Generic[R]):
    """`backends.protocols.ResourceRepository`. Each write is one transaction."""

    def __init__(
        self, store: Store, cls: type[R], references: References, *, clock: Clock, id_source: IdSource
    ) -> None:
        """Store the rows of this class."""
        self.spec: ResourceSpec = cls.__resource__
        self._store = store
        self._cls = cls
        self._references = references
        self._table: Table[R] = references.tables[self.spec.name]
        self._clock = clock
        self._id_source = id_source

    async def add(
        self,
        new: BaseModel,
        *,
        owner_id: str | None = None,
        idempotency: Idempotency | None = None,
        ordered_by: str | None = None,
    ) -> R:
        """See the protocol."""
        (row,), caller_id = self._new([new], owner_id), ordered_by or owner_id or ""

        def work(transaction: lmdb.Transaction) -> R:
            if idempotency is not None:
                kept = find_outcome(transaction, caller_id, idempotency)
                if isinstance(kept, AddedRow):
                    return self._cls.from_row(kept)
                outcome = AddedRow(row.to_row())
                keep(transaction, outcome, caller_id, idempotency, created_at=row.created_at)
            self._add(transaction, [row])
            return row

        return await self._store.write(work)

    async def add_many(self, new: Sequence[BaseModel], *, owner_id: str | None = None) -> list[R]:
        """See the protocol."""
        rows = self._new(new, owner_id)
        await self._store.write(lambda transaction: self._add(transaction, rows))
        return rows

    def _new(self, new: Sequence[BaseModel], owner_id: str | None) -> list[R]:
        ids = [self._id_source() for _ in new]
        return new_rows(self._cls, new, ids=ids, owner_id=owner_id, created_at=self._clock())

    def _add(self, transaction: lmdb.Transaction, rows: Sequence[R]) -> None:
        for row in rows:
            self._references.check(transaction, self.spec, row.fields())
        self._table.add(transaction, *rows)

    async def get(self, id: str, *, owner_id: str | None = None, public: bool = False) -> R:
        """See the protocol."""
        row = await self._store.read(lambda transaction: self._table.get(transaction, id))
        return accessible(row, self.spec, id, owner_id=owner_id, public=public)

    async def find_by(self, **values: Any) -> R | None:
        """See the protocol."""
        if set(values) not in map(set, self.spec.unique):
            raise ValueError(f"{', '.join(values)} is no unique group of the {self.spec.name}")
        return await self._store.read(lambda transaction: self._table.find(transaction, **values))

    async def list(
        self,
        *,
        owner_id: str | None = None,
        public: bool = False,
        where: BaseModel | Mapping[str, Any] = NO_FILTERS,
        sort: str = "-created_at",
        skip: int = 0,
        limit: int = 100,
        after: Position | None = None,
        count: bool = True,
    ) -> Page[R]:
        """See the protocol."""
        require_known(self.spec, where, sort=sort)
        return await self._store.read(
            lambda transaction: self._table.page(
                transaction,
                owner_id=None if public else owner_id,
                fits=condition_of(self.spec, where, owner_id=owner_id, public=public),
                sort=sort,
                skip=skip,
                limit=limit,
                after=after,
                count=count,
            )
        )

    async def update(
        self,
        id: str,
        changes: BaseModel | Mapping[str, Any],
        *,
        owner_id: str | None = None,
        versions: Collection[int] | None = None,
    ) -> R:
        """See the protocol."""
        return await change_row(
            self._cls,
            changes,
            versions,
            read=lambda: self.get(id, owner_id=owner_id),
            write=lambda values, of_versions: self._write(id, values, owner_id, of_versions),
        )

    async def _write(
        self, id: str, values: Mapping[str, Any], owner_id: str | None, versions: Collection[int] | None
    ) -> R:
        def work(transaction: lmdb.Transaction) -> R:
            row = self._matching(transaction, id, owner_id, versions)
            self._references.check(transaction, self.spec, values)
            changed = self._cls.of_fields({**row.fields(), **values, "version": row.version + 1})
            self._table.put(transaction, changed)
            return changed

        return await self._store.write(work)

    async def delete(
        self, id: str, *, owner_id: str | None = None, versions: Collection[int] | None = None
    ) -> None:
        """See the protocol."""

        def work(transaction: lmdb.Transaction) -> None:
            self._matching(transaction, id, owner_id, versions)
            self._references.delete(transaction, self.spec.name, id)

        await self._store.write(work)

    def _matching(
        self, transaction: lmdb.Transaction, id: str, owner_id: str | None, versions: Collection[int] | None
    ) -> R:
        """Return the row, if it has this owner and one of these versions."""
        found = self._table.get(transaction, id)
        row = accessible(found, self.spec, id, owner_id=owner_id, public=False)
        self._table.check_version(row, versions)
        return row
