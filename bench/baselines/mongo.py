"""MongoDB: PyMongo's asyncio client, hand-written commands, EitherDB's read and write concerns."""

from __future__ import annotations

from contextlib import nullcontext
from typing import Any

from bson import Int64, ObjectId
from pymongo import AsyncMongoClient
from pymongo.asynchronous.client_session import AsyncClientSession
from pymongo.asynchronous.database import AsyncDatabase

from bench.baselines.shared import (
    POOL_SIZE,
    Page,
    Refused,
    Shown,
    User,
    folded,
    now,
    shown_item,
    shown_time,
    shown_transfer,
)

Document = dict[str, Any]
Database = AsyncDatabase[Document]

_USER = {"_id": 0, "is_active": 1, "session_version": 1}
_ITEM = {"title": 1, "description": 1, "owner_id": 1, "created_at": 1}
_ACCOUNT = {"_id": 0, "owner_id": 1, "balance_minor": 1, "version": 1, "currency": 1}


def _shown(document: Document) -> Shown:
    return {
        "id": str(document["_id"]),
        "title": document["title"],
        "description": document["description"],
        "owner_id": str(document["owner_id"]),
        "created_at": shown_time(document["created_at"]),
    }


class Baseline:
    """`DatabaseBaseline` on PyMongo Async."""

    def __init__(self, url: str) -> None:
        """Take the database's URL."""
        self._url = url

    async def open(self) -> None:
        """See the protocol."""
        self._client: AsyncMongoClient[Document] = AsyncMongoClient(
            self._url, maxPoolSize=POOL_SIZE, w="majority", journal=True, readConcernLevel="majority"
        )
        self._database = self._client.get_default_database()

    async def close(self) -> None:
        """See the protocol."""
        await self._client.close()

    def reader(self) -> nullcontext[Database]:
        """See the protocol. The client has its own pool."""
        return nullcontext(self._database)

    writer = reader

    async def user(self, connection: Database, id: str) -> User | None:
        """See the protocol."""
        document = await connection["users"].find_one({"_id": ObjectId(id)}, _USER)
        if document is None:
            return None
        return User(document["is_active"], document["session_version"])

    async def item(self, connection: Database, id: str) -> Shown | None:
        """See the protocol."""
        document = await connection["items"].find_one({"_id": ObjectId(id)}, _ITEM)
        return None if document is None else _shown(document)

    async def page(self, connection: Database, owner_id: str, limit: int) -> Page:
        """See the protocol."""
        owner = {"owner_id": ObjectId(owner_id)}
        items = connection["items"]
        count = await items.count_documents(owner)
        found = items.find(owner, _ITEM, sort=[("created_at", -1), ("_id", -1)], limit=limit)
        return Page([_shown(document) for document in await found.to_list()], count)

    async def user_and_item(
        self, connection: Database, user_id: str, id: str
    ) -> tuple[User | None, Shown | None]:
        """See the protocol. Two commands."""
        return await self.user(connection, user_id), await self.item(connection, id)

    async def user_and_page(
        self, connection: Database, user_id: str, limit: int
    ) -> tuple[User | None, Page]:
        """See the protocol. Three commands."""
        return await self.user(connection, user_id), await self.page(connection, user_id, limit)

    async def add_item(
        self, connection: Database, owner_id: str, title: str, description: str | None
    ) -> Shown:
        """See the protocol."""
        id_, time = ObjectId(), now()
        await connection["items"].insert_one(
            {
                "_id": id_,
                "title": title,
                "description": description,
                "owner_id": ObjectId(owner_id),
                "created_at": time,
                "version": 1,
                "title_folded": folded(title),
                "description_folded": folded(description),
            }
        )
        return shown_item(id_, title, description, owner_id, time)

    async def transfer(
        self, connection: Database, user_id: str, from_id: str, to_id: str, amount: int, note: str | None
    ) -> Shown:
        """See the protocol. The driver retries after a write conflict."""
        accounts, transfers = connection["accounts"], connection["transfers"]
        user, source, target = ObjectId(user_id), ObjectId(from_id), ObjectId(to_id)
        id_, time = ObjectId(), now()

        async def move(session: AsyncClientSession) -> None:
            taken = await accounts.find_one_and_update(
                {"_id": source, "owner_id": user, "balance_minor": {"$gte": amount}},
                {"$inc": {"balance_minor": Int64(-amount), "version": 1}},
                _ACCOUNT,
                return_document=True,
                session=session,
            )
            given = taken and await accounts.find_one_and_update(
                {"_id": target, "currency": taken["currency"]},
                {"$inc": {"balance_minor": Int64(amount), "version": 1}},
                _ACCOUNT,
                return_document=True,
                session=session,
            )
            if not taken or not given:
                raise Refused(400, "Insufficient funds")
            await transfers.insert_one(
                {
                    "_id": id_,
                    "ordered_by": user,
                    "idempotency_key": None,
                    "amount_minor": Int64(amount),
                    "note": note,
                    "created_at": time,
                    "from_account_id": source,
                    "from_owner_id": taken["owner_id"],
                    "from_balance_minor": taken["balance_minor"],
                    "from_version": taken["version"],
                    "to_account_id": target,
                    "to_owner_id": given["owner_id"],
                    "to_balance_minor": given["balance_minor"],
                    "to_version": given["version"],
                },
                session=session,
            )

        async with self._client.start_session() as session:
            await session.with_transaction(move)
        return shown_transfer(id_, from_id, to_id, amount, note, time)
