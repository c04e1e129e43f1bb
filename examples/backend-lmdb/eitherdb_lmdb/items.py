"""Items in LMDB."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import lmdb
from pydantic import BaseModel

from backends.errors import AlreadyExists, NotFound
from backends.idempotency import AddedRow
from backends.ids import Clock, IdSource
from backends.models import Idempotency, Item, ItemFilter, Page, Position, fold_case
from backends.models.resources.forms import changed_values, values_of
from backends.protocols.resources import NO_FILTERS
from backends.resource_rows import accessible
from eitherdb_lmdb.rows import ITEMS, USERS, check_version, fits_times
from eitherdb_lmdb.store import Store
from eitherdb_lmdb.transfers import find_outcome, keep


class LmdbItemRepository:
    """`backends.protocols.ItemRepository`."""

    spec = Item.__resource__

    def __init__(self, store: Store, *, clock: Clock, id_source: IdSource) -> None:
        """Use this store, clock and id source."""
        self._store = store
        self._clock = clock
        self._id_source = id_source

    async def add(
        self,
        new: BaseModel,
        *,
        owner_id: str | None = None,
        idempotency: Idempotency | None = None,
        ordered_by: str | None = None,
    ) -> Item:
        """See the protocol."""
        items, caller_id = self._new([new], owner_id), ordered_by or owner_id or ""

        def work(transaction: lmdb.Transaction) -> Item:
            if idempotency is not None:
                kept = find_outcome(transaction, caller_id, idempotency)
                if isinstance(kept, AddedRow):
                    return Item.from_row(kept)
            (item,) = _put_new(transaction, items)
            if idempotency is not None:
                outcome = AddedRow(item.to_row())
                keep(transaction, outcome, caller_id, idempotency, created_at=item.created_at)
            return item

        return await self._store.write(work)

    async def add_many(self, new: Sequence[BaseModel], *, owner_id: str | None = None) -> list[Item]:
        """See the protocol."""
        items = self._new(new, owner_id)
        return await self._store.write(lambda transaction: _put_new(transaction, items))

    def _new(self, new: Sequence[BaseModel], owner_id: str | None) -> list[Item]:
        common = {"owner_id": owner_id or "", "created_at": self._clock(), "version": 1}
        ids = sorted(self._id_source() for _ in new)
        return [
            Item.of_fields({"id": id_, **values_of(Item, form), **common})
            for id_, form in zip(ids, new, strict=True)
        ]

    async def get(self, id: str, *, owner_id: str | None = None, public: bool = False) -> Item:
        """See the protocol."""
        item = await self._store.read(lambda transaction: ITEMS.get(transaction, id))
        return accessible(item, self.spec, id, owner_id=owner_id, public=public)

    async def find_by(self, **values: Any) -> Item | None:
        """See the protocol."""
        raise ValueError(f"{', '.join(values)} is no unique group of items")

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
    ) -> Page[Item]:
        """See the protocol. No item is public."""
        given = ItemFilter.model_construct(**dict(where))
        folded = None if given.q is None else fold_case(given.q)
        titles = given.title if isinstance(given.title, tuple) else (given.title,)

        def fits(item: Item) -> bool:
            return (
                (given.title is None or item.title in titles)
                and not (public and owner_id is None)
                and fits_times(item.created_at, given)
                and (
                    folded is None
                    or any(folded in fold_case(t) for t in (item.title, item.description) if t)
                )
            )

        return await self._store.read(
            lambda transaction: ITEMS.page(
                transaction,
                owner_id=owner_id,
                fits=fits,
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
    ) -> Item:
        """See the protocol."""
        values = changed_values(Item, changes)

        def work(transaction: lmdb.Transaction) -> Item:
            item = _get(transaction, id, owner_id)
            check_version(item, versions)
            if not values:
                return item
            changed = item.model_copy(update={"version": item.version + 1, **values})
            ITEMS.put(transaction, changed)
            return changed

        return await self._store.write(work)

    async def delete(
        self, id: str, *, owner_id: str | None = None, versions: Collection[int] | None = None
    ) -> None:
        """See the protocol."""

        def work(transaction: lmdb.Transaction) -> None:
            check_version(_get(transaction, id, owner_id), versions)
            ITEMS.delete(transaction, id)

        await self._store.write(work)


def _get(transaction: lmdb.Transaction, id: str, owner_id: str | None) -> Item:
    item = ITEMS.get(transaction, id)
    return accessible(item, Item.__resource__, id, owner_id=owner_id, public=False)


def _put_new(transaction: lmdb.Transaction, items: list[Item]) -> list[Item]:
    """Store new items of one owner."""
    if USERS.get(transaction, items[0].owner_id) is None:
        raise NotFound("user", items[0].owner_id)
    for item in items:
        if ITEMS.get(transaction, item.id) is not None:
            raise AlreadyExists("item", "id")
        ITEMS.put(transaction, item)
    return items
