"""Transactions whose process died: the server would keep their locks for a minute."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

from pymongo.errors import PyMongoError

if TYPE_CHECKING:
    from backends.mongo.driver import Driver

logger = logging.getLogger(__name__)

IDLE_SECONDS = 3.0
"""For how long a transaction of a living process never waits for its next command."""

LOOK_AGAIN_AFTER_SECONDS = 1.0


class AbandonedTransactions:
    """Ends them, when somebody collides with one.

    A transaction belongs to a session and not to a connection, so the server keeps one whose process was
    killed until `transactionLifetimeLimitSeconds` (60) are over, and all that time whoever changes one of
    its documents fails. What is ended by mistake, because its process only stood still, is told so and is
    carried out again: that is what every caller of `transact` is prepared for.

    A user of the database may see and end his own sessions without a privilege:
    https://www.mongodb.com/docs/manual/reference/command/killSessions/
    """

    def __init__(self, driver: Driver) -> None:
        """Use this driver."""
        self._driver = driver
        self._look_at = 0.0

    async def end(self) -> None:
        """Look for them, unless that was done a moment ago, and end them; never raises a driver's error."""
        now = asyncio.get_running_loop().time()
        if now < self._look_at:
            return
        self._look_at = now + LOOK_AGAIN_AFTER_SECONDS
        is_abandoned = {
            "appName": {"$regex": f"^{self._driver.app_name}(/|$)"},
            "transaction.timeInactiveMicros": {"$gt": int(IDLE_SECONDS * 1_000_000)},
        }
        look = {
            "aggregate": 1,
            "pipeline": [
                {"$currentOp": {"idleSessions": True}},
                {"$match": is_abandoned},
                {"$project": {"lsid": 1}},
            ],
            "cursor": {"batchSize": 1000},
        }
        try:
            found = (await self._driver.admin.command(look))["cursor"]["firstBatch"]
            if found:
                sessions = [{"id": operation["lsid"]["id"]} for operation in found]
                await self._driver.admin.command({"killSessions": sessions})
                logger.warning("ended %d transactions that were left open", len(sessions))
        except PyMongoError as exc:
            logger.warning("could not look for transactions that were left open: %s", exc)
