"""PostgreSQL: asyncpg and its pool, hand-written SQL."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import date
from typing import TYPE_CHECKING, Any

import asyncpg
import orjson
from bson import ObjectId

from bench.baselines.kinds import SQL_KINDS, Kind, cents_of, completed, folded, price_text, sql_of
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

if TYPE_CHECKING:
    from asyncpg.pool import PoolAcquireContext, PoolConnectionProxy

    Connection = PoolConnectionProxy[asyncpg.Record]

_USER = "SELECT is_active, session_version FROM users WHERE id = $1"
_SQL = {kind: sql_of(kind, "$") for kind in SQL_KINDS}
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


def _shown_item(row: Any) -> Shown:
    id_, title, description, owner_id, time = row
    return {
        "id": id_.hex(),
        "title": title,
        "description": description,
        "owner_id": owner_id.hex(),
        "created_at": shown_time(time),
    }


def _shown_product(row: Any) -> Shown:
    id_, name, sku, description, price, stock, weight, is_active, state, day, tags, owner_id, time = row
    return {
        "id": id_.hex(),
        "name": name,
        "sku": sku,
        "description": description,
        "price": price_text(price),
        "stock": stock,
        "weight": weight,
        "is_active": is_active,
        "state": state,
        "released_on": None if day is None else day.isoformat(),
        "tags": orjson.loads(tags),
        "owner_id": owner_id.hex(),
        "created_at": shown_time(time),
    }


_SHOWN: dict[Kind, Callable[[Any], Shown]] = {"items": _shown_item, "products": _shown_product}


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

    async def row(self, connection: Connection, kind: Kind, id: str) -> Shown | None:
        """See the protocol."""
        row = await connection.fetchrow(_SQL[kind].row, bytes.fromhex(id))
        return None if row is None else _SHOWN[kind](row)

    async def page(self, connection: Connection, kind: Kind, owner_id: str, limit: int) -> Page:
        """See the protocol."""
        owner = bytes.fromhex(owner_id)
        count = await connection.fetchval(_SQL[kind].count, owner)
        return Page(list(map(_SHOWN[kind], await connection.fetch(_SQL[kind].page, owner, limit))), count)

    async def user_and_row(
        self, connection: Connection, kind: Kind, user_id: str, id: str
    ) -> tuple[User | None, Shown | None]:
        """See the protocol. One statement."""
        row = await connection.fetchrow(_SQL[kind].user_and_row, bytes.fromhex(user_id), bytes.fromhex(id))
        if row is None:
            return None, None
        return User(row[0], row[1]), None if row["id"] is None else _SHOWN[kind](row[2:])

    async def user_and_page(
        self, connection: Connection, kind: Kind, user_id: str, limit: int
    ) -> tuple[User | None, Page]:
        """See the protocol. Two statements."""
        owner = bytes.fromhex(user_id)
        row = await connection.fetchrow(_SQL[kind].user_and_count, owner)
        if row is None:
            return None, Page([], 0)
        is_active, session_version, count = row
        found = await connection.fetch(_SQL[kind].page, owner, limit)
        return User(is_active, session_version), Page(list(map(_SHOWN[kind], found)), count)

    async def add(self, connection: Connection, kind: Kind, owner_id: str, new: Mapping[str, Any]) -> Shown:
        """See the protocol."""
        id_, time, values = ObjectId(), now(), completed(kind, new)
        cells = dict(values)
        if kind == "products":
            cells["price"] = cents_of(values["price"])
            values["price"] = price_text(cells["price"])
            cells["released_on"] = values["released_on"] and date.fromisoformat(values["released_on"])
            cells["tags"] = orjson.dumps(values["tags"]).decode()
        texts = folded(kind, values).values()
        owner = bytes.fromhex(owner_id)
        await connection.execute(_SQL[kind].add, id_.binary, *cells.values(), owner, time, *texts)
        return shown_new(id_, values, owner_id, time)

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
