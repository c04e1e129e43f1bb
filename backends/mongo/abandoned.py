"""Ends abandoned transactions: the process died, and the server would keep the locks for a minute."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

from pymongo.errors import PyMongoError

if TYPE_CHECKING:
    from backends.mongo.driver import Driver

logger = logging.getLogger(__name__)

IDLE_SECONDS = 3.0
"""A transaction that is idle for longer counts as abandoned."""

CHECK_INTERVAL_SECONDS = 1.0
"""The shortest time between two searches."""


class AbandonedTransactions:
    """Finds and ends abandoned transactions after a write conflict.

    A transaction belongs to a session, not to a connection. The server keeps the transaction of a killed
    process until `transactionLifetimeLimitSeconds` (60) have passed. Until then, every other write to
    its documents fails. The transaction of a process that only stalled may be ended by mistake: the
    process then gets an error and retries, as every caller of `transact` does.

    A database user may list and end their own sessions without a privilege:
    https://www.mongodb.com/docs/manual/reference/command/killSessions/
    """

    def __init__(self, driver: Driver) -> None:
        """Use this driver."""
        self._driver = driver
        self._next_check_at = 0.0

    async def end(self) -> None:
        """End the abandoned transactions; do nothing within a second of the last call.

        A driver's error is logged, not raised.
        """
        now = asyncio.get_running_loop().time()
        if now < self._next_check_at:
            return
        self._next_check_at = now + CHECK_INTERVAL_SECONDS
        is_abandoned = {
            "appName": {"$regex": f"^{self._driver.app_name}(/|$)"},
            "transaction.timeInactiveMicros": {"$gt": int(IDLE_SECONDS * 1_000_000)},
        }
        find = {
            "aggregate": 1,
            "pipeline": [
                {"$currentOp": {"idleSessions": True}},
                {"$match": is_abandoned},
                {"$project": {"lsid": 1}},
            ],
            "cursor": {"batchSize": 1000},
        }
        try:
            found = (await self._driver.admin.command(find))["cursor"]["firstBatch"]
            if found:
                sessions = [{"id": operation["lsid"]["id"]} for operation in found]
                await self._driver.admin.command({"killSessions": sessions})
                logger.warning("ended %d transactions that were left open", len(sessions))
        except PyMongoError as exc:
            logger.warning("could not look for transactions that were left open: %s", exc)
