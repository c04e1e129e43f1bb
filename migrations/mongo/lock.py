"""One migrator at a time: a lease in the database, renewed while it is held.

MongoDB has no lock that ends with its holder's connection. A holder that dies stops renewing, and the
next one takes over when the lease has ended by the server's clock, or was seen unchanged for as long as a
lease lasts: after a failover the clock may be another server's.
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
    """Hold the lock while the body runs; cancel the body should the lease be lost.

    Raises:
        Conflict: Another holder kept it for all of `wait_seconds`, or it was lost on the way.
    """
    lease = Lease(database, secrets.token_hex(8))
    await wait_for_lock(lease.take_over, lease.describe_holder, wait_seconds=wait_seconds)
    body = asyncio.current_task()
    lost = False

    async def keep() -> None:
        """Renew in good time; a renewal that fails is tried again while the lease lasts."""
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
    """The one document of the lock, as one would-be holder sees it."""

    def __init__(self, database: Database, holder: str) -> None:
        """Take nothing yet; `holder` is this holder's and nobody else's."""
        self._locks = database[MIGRATIONS_LOCK]
        self._holder = holder
        self._seen: Document | None = None
        self._seen_since = 0.0

    async def take(self) -> bool:
        """Take the lease or renew it; False while someone else has it."""
        await self._locks.delete_one({"_id": LOCK_ID, "$expr": {"$lt": ["$expires_at", "$$NOW"]}})
        fields = {
            "expires_at": {"$add": ["$$NOW", LEASE_SECONDS * 1000]},
            "since": {"$ifNull": ["$since", "$$NOW"]},
            "host": {"$literal": socket.gethostname()},
            "pid": os.getpid(),
        }
        try:
            # Matches only this holder's lease; another's makes the upsert collide on _id.
            await self._locks.update_one(
                {"_id": LOCK_ID, "holder": self._holder}, [{"$set": fields}], upsert=True
            )
        except DuplicateKeyError:
            return False
        return True

    async def take_over(self) -> bool:
        """Take the lease; end that of a holder that was not seen to renew it."""
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
        """Say who has it, as far as its document tells."""
        found = await self._locks.find_one({"_id": LOCK_ID})
        if found is None or "pid" not in found:
            return "another instance"
        since = f"{found['since']:%Y-%m-%d %H:%M:%S} UTC"
        return f"the process with pid {found['pid']} on {found['host']} (since {since})"

    async def release(self) -> None:
        """Give the lease back, if this holder has it."""
        await self._locks.delete_one({"_id": LOCK_ID, "holder": self._holder})
