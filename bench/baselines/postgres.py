"""PostgreSQL: asyncpg and its pool, hand-written SQL."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import asyncpg
from bson import ObjectId

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

if TYPE_CHECKING:
    from asyncpg.pool import PoolAcquireContext, PoolConnectionProxy

    Connection = PoolConnectionProxy[asyncpg.Record]

_USER = "SELECT is_active, session_version FROM users WHERE id = $1"
_ITEM = "SELECT id, title, description, owner_id, created_at FROM items WHERE id = $1"
_USER_AND_ITEM = """
SELECT u.is_active, u.session_version, i.id, i.title, i.description, i.owner_id, i.created_at
FROM users u LEFT JOIN items i ON i.id = $2 WHERE u.id = $1
"""
_USER_AND_COUNT = """
SELECT is_active, session_version, (SELECT count(*) FROM items WHERE owner_id = $1) FROM users WHERE id = $1
"""
_COUNT = "SELECT count(*) FROM items WHERE owner_id = $1"
_PAGE = """
SELECT id, title, description, owner_id, created_at FROM items WHERE owner_id = $1
ORDER BY created_at DESC, id DESC LIMIT $2
"""
_ADD_ITEM = """
INSERT INTO items (id, title, description, owner_id, created_at, version, title_folded, description_folded)
VALUES ($1, $2, $3, $4, $5, 1, $6, $7)
"""
_TAKE = """
UPDATE accounts SET balance_minor = balance_minor - $2, version = version + 1
WHERE id = $1 AND owner_id = $3 AND balance_minor >= $2 AND ($4::text IS NULL OR currency = $4)
RETURNING owner_id, balance_minor, version, currency
"""
_GIVE = """
UPDATE accounts SET balance_minor = balance_minor + $2, version = version + 1
WHERE id = $1 AND ($3::text IS NULL OR currency = $3)
RETURNING owner_id, balance_minor, version, currency
"""
_ADD_TRANSFER = """
INSERT INTO transfers (id, ordered_by, idempotency_key, amount_minor, note, created_at,
    from_account_id, from_owner_id, from_balance_minor, from_version,
    to_account_id, to_owner_id, to_balance_minor, to_version)
VALUES ($1, $2, NULL, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)
"""


async def _keep(_: Any) -> None:
    """Send no reset when a connection is released, because no statement changes the session state."""


def _shown(row: Any) -> Shown:
    id_, title, description, owner_id, time = row
    return {
        "id": id_.hex(),
        "title": title,
        "description": description,
        "owner_id": owner_id.hex(),
        "created_at": shown_time(time),
    }


class Baseline:
    """`DatabaseBaseline` on asyncpg."""

    def __init__(self, url: str) -> None:
        """Take the database's URL."""
        self._url = url

    async def open(self) -> None:
        """See the protocol."""
        self._pool = await asyncpg.create_pool(self._url, min_size=0, max_size=POOL_SIZE, reset=_keep)

    async def close(self) -> None:
        """See the protocol."""
        await self._pool.close()

    def reader(self) -> PoolAcquireContext[asyncpg.Record]:
        """See the protocol."""
        return self._pool.acquire()

    writer = reader

    async def user(self, connection: Connection, id: str) -> User | None:
        """See the protocol."""
        row = await connection.fetchrow(_USER, bytes.fromhex(id))
        return None if row is None else User(*row)

    async def item(self, connection: Connection, id: str) -> Shown | None:
        """See the protocol."""
        row = await connection.fetchrow(_ITEM, bytes.fromhex(id))
        return None if row is None else _shown(row)

    async def page(self, connection: Connection, owner_id: str, limit: int) -> Page:
        """See the protocol."""
        owner = bytes.fromhex(owner_id)
        count = await connection.fetchval(_COUNT, owner)
        return Page([_shown(row) for row in await connection.fetch(_PAGE, owner, limit)], count)

    async def user_and_item(
        self, connection: Connection, user_id: str, id: str
    ) -> tuple[User | None, Shown | None]:
        """See the protocol. One statement."""
        row = await connection.fetchrow(_USER_AND_ITEM, bytes.fromhex(user_id), bytes.fromhex(id))
        if row is None:
            return None, None
        return User(row[0], row[1]), None if row["id"] is None else _shown(row[2:])

    async def user_and_page(
        self, connection: Connection, user_id: str, limit: int
    ) -> tuple[User | None, Page]:
        """See the protocol. Two statements."""
        owner = bytes.fromhex(user_id)
        row = await connection.fetchrow(_USER_AND_COUNT, owner)
        if row is None:
            return None, Page([], 0)
        is_active, session_version, count = row
        found = await connection.fetch(_PAGE, owner, limit)
        return User(is_active, session_version), Page([_shown(row) for row in found], count)

    async def add_item(
        self,
        connection: Connection,
        owner_id: str,
        title: str,
        description: str | None,
    ) -> Shown:
        """See the protocol."""
        id_, time = ObjectId(), now()
        texts = (folded(title), folded(description))
        await connection.execute(
            _ADD_ITEM, id_.binary, title, description, bytes.fromhex(owner_id), time, *texts
        )
        return shown_item(id_, title, description, owner_id, time)

    async def transfer(
        self,
        connection: Connection,
        user_id: str,
        from_id: str,
        to_id: str,
        amount: int,
        note: str | None,
    ) -> Shown:
        """See the protocol. Locks are taken in the order of the ids, which excludes deadlocks."""
        user, source, target = bytes.fromhex(user_id), bytes.fromhex(from_id), bytes.fromhex(to_id)
        id_, time = ObjectId(), now()
        async with connection.transaction():
            if source < target:
                taken = await connection.fetchrow(_TAKE, source, amount, user, None)
                given = taken and await connection.fetchrow(_GIVE, target, amount, taken["currency"])
            else:
                given = await connection.fetchrow(_GIVE, target, amount, None)
                taken = given and await connection.fetchrow(_TAKE, source, amount, user, given["currency"])
            if not taken or not given:
                raise Refused(400, "Insufficient funds")
            sides = (source, *taken[:3], target, *given[:3])
            await connection.execute(_ADD_TRANSFER, id_.binary, user, amount, note, time, *sides)
        return shown_transfer(id_, from_id, to_id, amount, note, time)
