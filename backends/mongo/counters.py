"""Counters in MongoDB."""

from __future__ import annotations

import logging
from datetime import UTC, timedelta
from typing import TYPE_CHECKING

from backends.errors import BackendError, Conflict
from backends.ids import Clock
from backends.mongo.driver import Document
from backends.mongo.errors import DuplicateKey, translate_errors
from backends.mongo.rows import stored_fields
from backends.mongo.schema import COUNTERS
from backends.protocols import CLOCK_TOLERANCE, COUNTER_SWEEP_INTERVAL, Count
from backends.retry import TRIES
from backends.rows import unreadable

if TYPE_CHECKING:
    from datetime import datetime

    from backends.mongo.driver import Driver

logger = logging.getLogger(__name__)


def _to_count(document: Document, now: datetime) -> Count:
    try:
        ends_at = document["ends_at"]
        return Count(document["value"], ends_at.replace(tzinfo=UTC), ends_at - now)
    except (KeyError, TypeError, AttributeError) as exc:
        raise unreadable("counters", stored_fields("counters", document)) from exc


class MongoCounterRepository:
    """`backends.protocols.CounterRepository`: an increment, or an upsert if no counter is running."""

    def __init__(self, driver: Driver, *, clock: Clock) -> None:
        """Use this driver and this clock."""
        self._counters = driver.database[COUNTERS.name]
        self._clock = clock
        self._sweep_at: datetime | None = None

    async def add(self, key: str, amount: int, *, lasts_seconds: int) -> Count:
        """See the protocol. A running counter takes one command, a new one two."""
        now = self._now()
        await self._sweep(now)
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
                        return _to_count(document, now)
            except DuplicateKey:
                # Another caller started the counter between the two commands.
                continue
        raise Conflict(f"the counter kept changing in {TRIES} tries")

    async def get(self, key: str) -> Count | None:
        """See the protocol."""
        now = self._now()
        with translate_errors():
            document = await self._counters.find_one({"_id": key, "ends_at": {"$gt": now}})
        return _to_count(document, now) if document else None

    async def delete(self, key: str) -> None:
        """See the protocol."""
        with translate_errors():
            await self._counters.delete_one({"_id": key})

    async def _sweep(self, now: datetime) -> None:
        """Remove counters that no instance reads any more; at most once per sweep interval."""
        if self._sweep_at is not None and self._sweep_at - COUNTER_SWEEP_INTERVAL <= now < self._sweep_at:
            return
        self._sweep_at = now + COUNTER_SWEEP_INTERVAL
        try:
            with translate_errors():
                await self._counters.delete_many({"ends_at": {"$lte": now - CLOCK_TOLERANCE}})
        except BackendError:
            logger.warning("could not remove the counters that have ended", exc_info=True)

    def _now(self) -> datetime:
        return self._clock().replace(tzinfo=None)
