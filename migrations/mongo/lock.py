"""The migration lock on MongoDB: a lease in the database, renewed while it is held.

MongoDB has no lock that ends with its holder's connection. A dead holder stops renewing its lease. Another
instance takes over when the lease has expired by the server's clock, or stayed unchanged for the length of
a lease: after a failover, the new primary's clock may differ.
"""

from __future__ import annotations

import asyncio
import os
import secrets
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from pymongo.errors import DuplicateKeyError, PyMongoError

from backends.errors import Conflict
from backends.mongo.driver import Database, Document
from backends.mongo.ownership import LOCK_ID
from backends.mongo.schema import MIGRATIONS_LOCK
from migrations.waiting import wait_for_lock

LEASE_SECONDS = 30


@asynccontextmanager
async def migration_lock(database: Database, *, wait_seconds: float) -> AsyncIterator[None]:
    """Hold the lock while the body runs; cancel the body if the lease is lost.

    Raises:
        Conflict: Another holder kept the lock for `wait_seconds`, or the lease was lost.
    """
    lease = Lease(database, secrets.token_hex(8))
    await wait_for_lock(lease.take_over, lease.describe_holder, wait_seconds=wait_seconds)
    body = asyncio.current_task()
    lost = False

    async def keep() -> None:
        """Renew the lease three times per period; retry a failed renewal until the lease expires."""
        nonlocal lost
        loop = asyncio.get_running_loop()
        held_until = loop.time() + LEASE_SECONDS
        while not lost:
            await asyncio.sleep(LEASE_SECONDS / 3)
            started = loop.time()
            try:
                lost = not await lease.take()
                held_until = started + LEASE_SECONDS
            except PyMongoError:
                lost = loop.time() >= held_until
        if body is not None:
            body.cancel()

    keeper = asyncio.create_task(keep())
    try:
        yield
    except asyncio.CancelledError:
        if lost and body is not None:
            body.uncancel()
            raise Conflict("the migration lock was lost: another instance took over") from None
        raise
    finally:
        keeper.cancel()
        with suppress(asyncio.CancelledError):
            await keeper
        await lease.release()


class Lease:
    """The lock's only document, from the point of view of one instance."""

    def __init__(self, database: Database, holder: str) -> None:
        """Prepare the lease; `holder` is unique to this instance."""
        self._locks = database[MIGRATIONS_LOCK]
        self._holder = holder
        self._seen: Document | None = None
        self._seen_since = 0.0

    async def take(self) -> bool:
        """Take or renew the lease; return False if another holder has it."""
        await self._locks.delete_one({"_id": LOCK_ID, "$expr": {"$lt": ["$expires_at", "$$NOW"]}})
        fields = {
            "expires_at": {"$add": ["$$NOW", LEASE_SECONDS * 1000]},
            "since": {"$ifNull": ["$since", "$$NOW"]},
            "host": {"$literal": socket.gethostname()},
            "pid": os.getpid(),
        }
        try:
            # The filter matches only this holder's lease; with another holder, the upsert fails on `_id`.
            await self._locks.update_one(
                {"_id": LOCK_ID, "holder": self._holder}, [{"$set": fields}], upsert=True
            )
        except DuplicateKeyError:
            return False
        return True

    async def take_over(self) -> bool:
        """Take the lease; delete another holder's lease that was not renewed for a whole period."""
        if await self.take():
            return True
        found = await self._locks.find_one({"_id": LOCK_ID})
        now = asyncio.get_running_loop().time()
        if found != self._seen:
            self._seen, self._seen_since = found, now
        elif found is not None and now - self._seen_since > LEASE_SECONDS:
            await self._locks.delete_one(found)
        return False

    async def describe_holder(self) -> str:
        """Describe the holder from the fields of the lease."""
        found = await self._locks.find_one({"_id": LOCK_ID})
        if found is None or "pid" not in found:
            return "another instance"
        since = f"{found['since']:%Y-%m-%d %H:%M:%S} UTC"
        return f"the process with pid {found['pid']} on {found['host']} (since {since})"

    async def release(self) -> None:
        """Release the lease if this instance holds it."""
        await self._locks.delete_one({"_id": LOCK_ID, "holder": self._holder})
