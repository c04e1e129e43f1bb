"""Items in MongoDB."""

from __future__ import annotations

from datetime import UTC
from typing import TYPE_CHECKING

from backends.cancellation import to_its_end
from backends.errors import AlreadyExists, NotFound, NotOwner
from backends.ids import Clock, IdSource
from backends.models import Item, ItemChanges, NewItem, Page, Position
from backends.mongo.driver import Document
from backends.mongo.errors import DuplicateKey, translate_errors
from backends.mongo.pages import fetch_page
from backends.mongo.schema import ITEMS, USERS, object_id

if TYPE_CHECKING:
    from backends.mongo.driver import Driver


def _to_item(document: Document) -> Item:
    return Item(
        id=str(document["_id"]),
        title=document["title"],
        description=document["description"],
        owner_id=str(document["owner_id"]),
        created_at=document["created_at"].replace(tzinfo=UTC),
    )


def _matches(id: str, owner_id: str | None) -> Document:
    if owner_id is None:
        return {"_id": object_id(id)}
    return {"_id": object_id(id), "owner_id": object_id(owner_id)}


class MongoItemRepository:
    """`backends.protocols.ItemRepository`: a method is one command, but for `add`."""

    def __init__(self, driver: Driver, *, clock: Clock, id_source: IdSource) -> None:
        """Use this driver, clock and source of ids."""
        self._users = driver.database[USERS.name]
        self._items = driver.database[ITEMS.name]
        self._clock = clock
        self._id_source = id_source

    async def add(self, new: NewItem, *, owner_id: str) -> Item:
        """See the protocol.

        The owner is looked for after the insert, not before: an owner who is there then was there
        before, and whoever deletes that owner later sees the item. `MongoUserRepository.delete` has
        the other half. Both may run any number of times at once for one owner, as a foreign key allows.
        """
        owner = object_id(owner_id)
        if owner is None:
            raise NotFound("user", owner_id)
        id_ = self._id_source()
        values = {"created_at": self._clock(), **new.model_dump()}
        document = {"_id": object_id(id_), "owner_id": owner, **values}
        try:
            with translate_errors():
                has_owner = await to_its_end(self._insert_owned(document))
        except DuplicateKey as duplicate:
            raise AlreadyExists("item", duplicate.field) from duplicate
        if not has_owner:
            raise NotFound("user", owner_id)
        return Item(id=id_, owner_id=owner_id, **values)

    async def _insert_owned(self, document: Document) -> bool:
        """Insert the item; take it back and return False if it has no owner."""
        await self._items.insert_one(document)
        if await self._users.find_one({"_id": document["owner_id"]}, {"_id": 1}) is not None:
            return True
        await self._items.delete_one({"_id": document["_id"]})
        return False

    async def get(self, id: str, *, owner_id: str | None = None) -> Item:
        """See the protocol."""
        with translate_errors():
            document = await self._items.find_one({"_id": object_id(id)})
        if document is None:
            raise NotFound("item", id)
        item = _to_item(document)
        if owner_id is not None and item.owner_id != owner_id:
            raise NotOwner("item", id)
        return item

    async def list(
        self,
        *,
        owner_id: str | None = None,
        skip: int = 0,
        limit: int = 100,
        after: Position | None = None,
        count: bool = True,
    ) -> Page[Item]:
        """See the protocol."""
        where = {} if owner_id is None else {"owner_id": object_id(owner_id)}
        return await fetch_page(
            self._items, where, _to_item, skip=skip, limit=limit, after=after, count=count
        )

    async def update(self, id: str, changes: ItemChanges, *, owner_id: str | None = None) -> Item:
        """See the protocol."""
        values = changes.model_dump(exclude_unset=True)
        if not values:
            return await self.get(id, owner_id=owner_id)
        with translate_errors():
            document = await self._items.find_one_and_update(
                _matches(id, owner_id), {"$set": values}, return_document=True
            )
        if document is None:
            raise await self._refusal(id, owner_id)
        return _to_item(document)

    async def delete(self, id: str, *, owner_id: str | None = None) -> None:
        """See the protocol."""
        with translate_errors():
            deleted = await self._items.delete_one(_matches(id, owner_id))
        if not deleted.deleted_count:
            raise await self._refusal(id, owner_id)

    async def _refusal(self, id: str, owner_id: str | None) -> NotFound | NotOwner:
        """Say why a guarded write matched nothing: a second look, on the way to an error only."""
        with translate_errors():
            document = await self._items.find_one({"_id": object_id(id)}, {"owner_id": 1})
        if owner_id is not None and document and str(document["owner_id"]) != owner_id:
            return NotOwner("item", id)
        return NotFound("item", id)
