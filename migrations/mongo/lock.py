"""One migrator at a time: a lease in the database, renewed while it is held.

A lease, because MongoDB has no lock that ends with its holder's connection: a holder that dies stops
renewing, and the next one takes over when the lease has run out. Time is the server's alone.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from pymongo.errors import DuplicateKeyError, PyMongoError

from backends.errors import Conflict
from backends.mongo.driver import Database

LOCKS = "schema_migrations_lock"
LEASE_SECONDS = 30
POLL_SECONDS = 0.1


@asynccontextmanager
async def migration_lock(database: Database, *, wait_seconds: float) -> AsyncIterator[None]:
    """Hold the lock while the body runs; cancel the body should the lease be lost.

    Raises:
        Conflict: Another holder kept it for all of `wait_seconds`, or it was lost on the way.
    """
    holder = secrets.token_hex(8)
    await _acquire(database, holder, wait_seconds)
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
                lost = not await _take(database, holder)
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
        await database[LOCKS].delete_one({"_id": "migrations", "holder": holder})


async def _acquire(database: Database, holder: str, wait_seconds: float) -> None:
    loop = asyncio.get_running_loop()
    deadline = loop.time() + wait_seconds
    while not await _take(database, holder):
        if loop.time() > deadline:
            raise Conflict(f"another instance has been migrating for over {wait_seconds:.0f} seconds")
        await asyncio.sleep(POLL_SECONDS)


async def _take(database: Database, holder: str) -> bool:
    """Take the lease or renew it; False while someone else has it."""
    locks = database[LOCKS]
    await locks.delete_one({"_id": "migrations", "$expr": {"$lt": ["$expires_at", "$$NOW"]}})
    until = {"$add": ["$$NOW", LEASE_SECONDS * 1000]}
    try:
        # Matches only this holder's lease; another's makes the upsert collide on _id.
        await locks.update_one(
            {"_id": "migrations", "holder": holder}, [{"$set": {"expires_at": until}}], upsert=True
        )
    except DuplicateKeyError:
        return False
    return True
