"""Items in MongoDB."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Collection, Sequence
from typing import TYPE_CHECKING, Any

from backends.cancellation import run_to_completion
from backends.capabilities import Capability
from backends.errors import AlreadyExists, NotFound, NotOwner, NotSupported, VersionMismatch
from backends.ids import Clock, IdSource, write_time
from backends.models import (
    Item,
    ItemFilter,
    NewItem,
    Page,
    Position,
    Row,
    fold_case,
    with_folded,
)
from backends.mongo.driver import Document
from backends.mongo.errors import DuplicateKey, translate_errors
from backends.mongo.lookups import ById
from backends.mongo.pages import Order, created_between, fetch_page
from backends.mongo.rows import stored_fields
from backends.mongo.schema import ITEMS, USERS, object_id
from backends.mongo.transactions import in_transaction
from backends.rows import unreadable

if TYPE_CHECKING:
    from backends.mongo.driver import Driver, Session


def _to_row(document: Document) -> Row:
    try:
        return {
            "id": str(document["_id"]),
            "title": document["title"],
            "description": document["description"],
            "owner_id": str(document["owner_id"]),
            "created_at": write_time(document["created_at"]),
            "version": document["version"],
        }
    except (KeyError, TypeError, ValueError, AttributeError) as exc:
        raise unreadable("items", stored_fields("items", document)) from exc


def _to_item(document: Document) -> Item:
    return Item.from_row(_to_row(document))


def _exists(_: Document) -> bool:
    return True


def _matches(id: str, owner_id: str | None, versions: Collection[int] | None) -> Document:
    matches: Document = {"_id": object_id(id)}
    if owner_id is not None:
        matches["owner_id"] = object_id(owner_id)
    if versions is not None:
        matches["version"] = {"$in": list(versions)}
    return matches


def _conditions(owner_id: str | None, where: Any) -> list[Document]:
    conditions = created_between(where.created_after, where.created_before)
    if owner_id is not None:
        conditions.append({"owner_id": object_id(owner_id)})
    if where.title is not None:
        conditions.append({"title": where.title})
    if where.q:
        # Both fields are case-folded already, so the expression is case-sensitive and escaped.
        part = {"$regex": re.escape(fold_case(where.q))}
        conditions.append({"$or": [{"title_folded": part}, {"description_folded": part}]})
    return conditions


class MongoItemRepository:
    """`backends.protocols.ItemRepository`: each method is one command, except `add` and `add_many`."""

    def __init__(
        self,
        driver: Driver,
        *,
        capabilities: frozenset[Capability],
        retry_deadline_seconds: float,
        clock: Clock,
        id_source: IdSource,
    ) -> None:
        """Use this driver, clock and source of ids."""
        self._driver = driver
        self._users = driver.database[USERS.name]
        self._items = driver.database[ITEMS.name]
        self._capabilities = capabilities
        self._retry_deadline_seconds = retry_deadline_seconds
        self._clock = clock
        self._id_source = id_source
        self._by_id = ById(driver, self._items, _to_item)
        self._owners = ById(driver, self._users, _exists, projection={"_id": 1})

    async def add(self, new: NewItem, *, owner_id: str) -> Item:
        """See the protocol.

        The owner is read after the insert, not before. If the owner exists then, a later deletion of the
        owner finds the item; `MongoUserRepository.delete` is the counterpart. Any number of inserts and
        deletions may run concurrently for one owner, as with a foreign key.
        """
        (item,) = await self._add([new], owner_id, self._insert_owned)
        return item

    async def add_many(self, new: Sequence[NewItem], *, owner_id: str) -> list[Item]:
        """See the protocol. Works like `add`; the inserts and their removal are each one transaction."""
        if Capability.TRANSACTIONS not in self._capabilities:
            raise NotSupported("items.add_many", Capability.TRANSACTIONS)
        return await self._add(new, owner_id, self._insert_all_owned)

    async def _add(
        self,
        new: Sequence[NewItem],
        owner_id: str,
        insert_owned: Callable[[list[Document]], Awaitable[bool]],
    ) -> list[Item]:
        owner = object_id(owner_id)
        if owner is None:
            raise NotFound("user", owner_id)
        created_at = self._clock()
        items: list[Item] = []
        documents: list[Document] = []
        for id_, form in zip(sorted(self._id_source() for _ in new), new, strict=True):
            values = {"created_at": created_at, "version": 1, **form.model_dump()}
            items.append(Item.of_fields({"id": id_, "owner_id": owner_id, **values}))
            documents.append({"_id": object_id(id_), "owner_id": owner, **with_folded(values)})
        try:
            with translate_errors():
                has_owner = await run_to_completion(insert_owned(documents))
        except DuplicateKey as duplicate:
            raise AlreadyExists("item", duplicate.field) from duplicate
        if not has_owner:
            raise NotFound("user", owner_id)
        return items

    async def _insert_owned(self, documents: list[Document]) -> bool:
        """Insert the item; if it has no owner, delete it again and return False."""
        (document,) = documents
        async with self._driver.semaphore.slot():
            await self._items.insert_one(document)
        if await self._has_owner(document):
            return True
        await self._items.delete_one({"_id": document["_id"]})
        return False

    async def _insert_all_owned(self, documents: list[Document]) -> bool:
        """Insert the items of one owner; if the owner doesn't exist, delete them and return False."""

        async def insert(session: Session) -> None:
            await self._items.insert_many(documents, session=session)

        async def take_back(session: Session) -> None:
            ids = [document["_id"] for document in documents]
            await self._items.delete_many({"_id": {"$in": ids}}, session=session)

        await in_transaction(self._driver, insert, deadline_seconds=self._retry_deadline_seconds)
        if await self._has_owner(documents[0]):
            return True
        await in_transaction(self._driver, take_back, deadline_seconds=self._retry_deadline_seconds)
        return False

    async def _has_owner(self, document: Document) -> bool:
        return await self._owners.get(str(document["owner_id"])) is not None

    async def get(self, id: str, *, owner_id: str | None = None) -> Item:
        """See the protocol."""
        item = await self._by_id.get(id)
        if item is None:
            raise NotFound("item", id)
        if owner_id is not None and item.owner_id != owner_id:
            raise NotOwner("item", id)
        return item

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
        return await fetch_page(
            self._driver,
            self._items,
            _conditions(owner_id, where),
            _to_row,
            Item,
            order=Order.by(sort),
            skip=skip,
            limit=limit,
            after=after,
            count=count,
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
        values = with_folded(changes.model_dump(exclude_unset=True))
        if not values:
            item = await self.get(id, owner_id=owner_id)
            if versions is not None and item.version not in versions:
                raise VersionMismatch("item", id)
            return item
        with translate_errors():
            document = await self._items.find_one_and_update(
                _matches(id, owner_id, versions),
                {"$set": values, "$inc": {"version": 1}},
                return_document=True,
            )
        if document is None:
            raise await self._refusal(id, owner_id)
        return _to_item(document)

    async def delete(
        self, id: str, *, owner_id: str | None = None, versions: Collection[int] | None = None
    ) -> None:
        """See the protocol."""
        with translate_errors():
            deleted = await self._items.delete_one(_matches(id, owner_id, versions))
        if not deleted.deleted_count:
            raise await self._refusal(id, owner_id)

    async def _refusal(self, id: str, owner_id: str | None) -> NotFound | NotOwner | VersionMismatch:
        """Return why a guarded write matched nothing; reads again, on the error path only."""
        with translate_errors():
            document = await self._items.find_one({"_id": object_id(id)}, {"owner_id": 1})
        if document is None:
            return NotFound("item", id)
        if owner_id is not None and str(document["owner_id"]) != owner_id:
            return NotOwner("item", id)
        return VersionMismatch("item", id)
