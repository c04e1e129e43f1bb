"""MongoDB: PyMongo's asyncio client, hand-written commands, EitherDB's read and write concerns."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import nullcontext
from datetime import datetime
from typing import Any

from bson import Int64, ObjectId
from pymongo import AsyncMongoClient
from pymongo.asynchronous.client_session import AsyncClientSession
from pymongo.asynchronous.database import AsyncDatabase

from bench.baselines.kinds import FIELDS, Kind, cents_of, completed, folded, price_text
from bench.baselines.shared import (
    POOL_SIZE,
    Page,
    Refused,
    Shown,
    User,
    now,
    shown_new,
    shown_time,
    shown_transfer,
)

Document = dict[str, Any]
Database = AsyncDatabase[Document]

_USER = {"_id": 0, "is_active": 1, "session_version": 1}
_PROJECTIONS = {
    kind: dict.fromkeys((*names, "owner_id", "created_at"), 1) for kind, names in FIELDS.items()
}
_ACCOUNT = {"_id": 0, "owner_id": 1, "balance_minor": 1, "version": 1, "currency": 1}


def _shown_item(document: Document) -> Shown:
    return {
        "id": str(document["_id"]),
        "title": document["title"],
        "description": document["description"],
        "owner_id": str(document["owner_id"]),
        "created_at": shown_time(document["created_at"]),
    }


def _shown_product(document: Document) -> Shown:
    day = document["released_on"]
    return {
        "id": str(document["_id"]),
        "name": document["name"],
        "sku": document["sku"],
        "description": document["description"],
        "price": price_text(document["price"]),
        "stock": document["stock"],
        "weight": document["weight"],
        "is_active": document["is_active"],
        "state": document["state"],
        "released_on": None if day is None else day.date().isoformat(),
        "tags": document["tags"],
        "owner_id": str(document["owner_id"]),
        "created_at": shown_time(document["created_at"]),
    }


_SHOWN: dict[Kind, Callable[[Document], Shown]] = {"items": _shown_item, "products": _shown_product}


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

    async def row(self, connection: Database, kind: Kind, id: str) -> Shown | None:
        """See the protocol."""
        document = await connection[kind].find_one({"_id": ObjectId(id)}, _PROJECTIONS[kind])
        return None if document is None else _SHOWN[kind](document)

    async def page(self, connection: Database, kind: Kind, owner_id: str, limit: int) -> Page:
        """See the protocol."""
        owner = {"owner_id": ObjectId(owner_id)}
        rows = connection[kind]
        count = await rows.count_documents(owner)
        order = [("created_at", -1), ("_id", -1)]
        found = await rows.find(owner, _PROJECTIONS[kind], sort=order, limit=limit).to_list()
        return Page(list(map(_SHOWN[kind], found)), count)

    async def user_and_row(
        self, connection: Database, kind: Kind, user_id: str, id: str
    ) -> tuple[User | None, Shown | None]:
        """See the protocol. Two commands."""
        return await self.user(connection, user_id), await self.row(connection, kind, id)

    async def user_and_page(
        self, connection: Database, kind: Kind, user_id: str, limit: int
    ) -> tuple[User | None, Page]:
        """See the protocol. Three commands."""
        return await self.user(connection, user_id), await self.page(connection, kind, user_id, limit)

    async def add(self, connection: Database, kind: Kind, owner_id: str, new: Mapping[str, Any]) -> Shown:
        """See the protocol."""
        id_, time, values = ObjectId(), now(), completed(kind, new)
        stored = dict(values)
        if kind == "products":
            stored["price"] = Int64(cents_of(values["price"]))
            values["price"] = price_text(stored["price"])
            stored["stock"] = Int64(values["stock"])
            stored["released_on"] = values["released_on"] and datetime.fromisoformat(values["released_on"])
        common = {"owner_id": ObjectId(owner_id), "created_at": time, "version": 1, **folded(kind, values)}
        await connection[kind].insert_one({"_id": id_, **stored, **common})
        return shown_new(id_, values, owner_id, time)

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
