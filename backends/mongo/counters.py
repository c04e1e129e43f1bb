"""Counters in MongoDB."""

from __future__ import annotations

from datetime import UTC, timedelta
from typing import TYPE_CHECKING

from backends.errors import Conflict
from backends.ids import Clock
from backends.mongo.driver import Document
from backends.mongo.errors import DuplicateKey, translate_errors
from backends.mongo.schema import COUNTERS
from backends.protocols import Count
from backends.retry import TRIES

if TYPE_CHECKING:
    from datetime import datetime

    from backends.mongo.driver import Driver


def _to_count(document: Document) -> Count:
    return Count(document["value"], document["ends_at"].replace(tzinfo=UTC))


class MongoCounterRepository:
    """`backends.protocols.CounterRepository`; a TTL index removes what has ended."""

    def __init__(self, driver: Driver, *, clock: Clock) -> None:
        """Use this driver and this clock."""
        self._counters = driver.database[COUNTERS.name]
        self._clock = clock

    async def add(self, key: str, amount: int, *, lasts_seconds: int) -> Count:
        """See the protocol. A running counter takes one command, a new one two."""
        now = self._now()
        new = {"value": amount, "ends_at": now + timedelta(seconds=lasts_seconds)}
        for _ in range(TRIES):
            try:
                with translate_errors():
                    document = await self._counters.find_one_and_update(
                        {"_id": key, "ends_at": {"$gt": now}},
                        {"$inc": {"value": amount}},
                        return_document=True,
                    )
                    if document is None:
                        document = await self._counters.find_one_and_update(
                            {"_id": key, "ends_at": {"$lte": now}},
                            {"$set": new},
                            upsert=True,
                            return_document=True,
                        )
                    if document is not None:
                        return _to_count(document)
            except DuplicateKey:
                # Another began it between the two commands: now it is running.
                continue
        raise Conflict(f"the counter kept changing in {TRIES} tries")

    async def get(self, key: str) -> Count | None:
        """See the protocol."""
        with translate_errors():
            document = await self._counters.find_one({"_id": key, "ends_at": {"$gt": self._now()}})
        return _to_count(document) if document else None

    async def delete(self, key: str) -> None:
        """See the protocol."""
        with translate_errors():
            await self._counters.delete_one({"_id": key})

    def _now(self) -> datetime:
        return self._clock().replace(tzinfo=None)
