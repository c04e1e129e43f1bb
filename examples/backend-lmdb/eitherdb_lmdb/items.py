"""Items in LMDB."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

import lmdb

from backends.capabilities import Capability
from backends.errors import AlreadyExists, NotFound, NotOwner, NotSupported
from backends.ids import Clock, IdSource
from backends.models import Idempotency, Item, ItemFilter, NewItem, Page, Position, fold_case
from eitherdb_lmdb.rows import ITEMS, USERS, check_version, fits_times
from eitherdb_lmdb.store import Store


class LmdbItemRepository:
    """`backends.protocols.ItemRepository`."""

    def __init__(self, store: Store, *, clock: Clock, id_source: IdSource) -> None:
        """Use this store, clock and id source."""
        self._store = store
        self._clock = clock
        self._id_source = id_source

    async def add(
        self,
        new: NewItem,
        *,
        owner_id: str,
        idempotency: Idempotency | None = None,
        ordered_by: str | None = None,
    ) -> Item:
        """See the protocol. Keys are not supported yet."""
        del ordered_by
        if idempotency is not None:
            raise NotSupported("items.add with an idempotency key", Capability.TRANSACTIONS)
        (item,) = await self.add_many([new], owner_id=owner_id)
        return item

    async def add_many(self, new: Sequence[NewItem], *, owner_id: str) -> list[Item]:
        """See the protocol."""
        ids = sorted(self._id_source() for _ in new)
        now = self._clock()
        items = [
            Item.of_fields(
                {"id": id_, "created_at": now, "owner_id": owner_id, "version": 1, **form.model_dump()}
            )
            for id_, form in zip(ids, new, strict=True)
        ]

        def work(transaction: lmdb.Transaction) -> list[Item]:
            if USERS.get(transaction, owner_id) is None:
                raise NotFound("user", owner_id)
            for item in items:
                if ITEMS.get(transaction, item.id) is not None:
                    raise AlreadyExists("item", "id")
                ITEMS.put(transaction, item)
            return items

        return await self._store.write(work)

    async def get(self, id: str, *, owner_id: str | None = None) -> Item:
        """See the protocol."""
        return await self._store.read(lambda transaction: _get(transaction, id, owner_id))

    async def list(
        self,
        *,
        owner_id: str | None = None,
        where: Any = ItemFilter(),  # noqa: B008 - frozen
        sort: str = "-created_at",
        skip: int = 0,
        limit: int = 100,
        after: Position | None = None,
        count: bool = True,
    ) -> Page[Item]:
        """See the protocol."""
        where = ItemFilter.model_construct(**dict(where))
        folded = None if where.q is None else fold_case(where.q)

        def fits(item: Item) -> bool:
            return (
                where.title in {None, item.title}
                and fits_times(item.created_at, where)
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
        changes: Any,
        *,
        owner_id: str | None = None,
        versions: Collection[int] | None = None,
    ) -> Item:
        """See the protocol."""
        values = changes.model_dump(exclude_unset=True)

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
    if item is None:
        raise NotFound("item", id)
    if owner_id not in {None, item.owner_id}:
        raise NotOwner("item", id)
    return item
