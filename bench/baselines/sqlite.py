"""SQLite: aiosqlite, hand-written SQL; one connection for writes, because SQLite has one writer."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any, NoReturn

import aiosqlite
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
    shown_transfer,
)

Connection = aiosqlite.Connection

_USER = "SELECT is_active, session_version FROM users WHERE id = ?"
_SQL = {kind: sql_of(kind, "?") for kind in SQL_KINDS}
_TAKE = """
UPDATE accounts SET balance_minor = balance_minor - ?2, version = version + 1
WHERE id = ?1 AND owner_id = ?3 AND balance_minor >= ?2 RETURNING owner_id, balance_minor, version, currency
"""
_GIVE = """
UPDATE accounts SET balance_minor = balance_minor + ?2, version = version + 1
WHERE id = ?1 AND currency = ?3 RETURNING owner_id, balance_minor, version
"""
_ADD_TRANSFER = """
INSERT INTO transfers (id, ordered_by, idempotency_key, amount_minor, note, created_at,
    from_account_id, from_owner_id, from_balance_minor, from_version,
    to_account_id, to_owner_id, to_balance_minor, to_version)
VALUES (?, ?, NULL, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
"""


def _shown_time(time: str) -> str:
    return f"{time[:10]}T{time[11:23]}Z"  # of `2026-11-22 16:25:25.123000`


def _shown_item(row: Any) -> Shown:
    id_, title, description, owner_id, time = row
    return {
        "id": id_.hex(),
        "title": title,
        "description": description,
        "owner_id": owner_id.hex(),
        "created_at": _shown_time(time),
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
        "is_active": bool(is_active),
        "state": state,
        "released_on": day,
        "tags": orjson.loads(tags),
        "owner_id": owner_id.hex(),
        "created_at": _shown_time(time),
    }


_SHOWN: dict[Kind, Callable[[Any], Shown]] = {"items": _shown_item, "products": _shown_product}


async def _row(connection: Connection, sql: str, *arguments: Any) -> Any:
    """Return the first row or None, with one switch to the connection's thread."""
    rows = await connection.execute_fetchall(sql, arguments)
    return next(iter(rows), None)


def _refuse() -> NoReturn:
    raise Refused(400, "Insufficient funds")


class Baseline:
    """`DatabaseBaseline` on aiosqlite."""

    def __init__(self, url: str) -> None:
        """Take the database's URL."""
        self._path = url.removeprefix("sqlite:///")

    async def open(self) -> None:
        """See the protocol."""
        self._writer = await self._connect()
        self._writing = asyncio.Lock()
        self._readers: asyncio.LifoQueue[Connection] = asyncio.LifoQueue()
        for _ in range(POOL_SIZE):
            self._readers.put_nowait(await self._connect())

    async def _connect(self) -> Connection:
        connection = await aiosqlite.connect(self._path, isolation_level=None)
        for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON"):
            await connection.execute_fetchall(f"PRAGMA {pragma}")
        return connection

    async def close(self) -> None:
        """See the protocol."""
        while not self._readers.empty():
            await self._readers.get_nowait().close()
        await self._writer.close()

    @asynccontextmanager
    async def reader(self) -> AsyncIterator[Connection]:
        """See the protocol."""
        connection = await self._readers.get()
        try:
            yield connection
        finally:
            self._readers.put_nowait(connection)

    @asynccontextmanager
    async def writer(self) -> AsyncIterator[Connection]:
        """See the protocol."""
        async with self._writing:
            yield self._writer

    async def user(self, connection: Connection, id: str) -> User | None:
        """See the protocol."""
        row = await _row(connection, _USER, bytes.fromhex(id))
        return None if row is None else User(*row)

    async def row(self, connection: Connection, kind: Kind, id: str) -> Shown | None:
        """See the protocol."""
        row = await _row(connection, _SQL[kind].row, bytes.fromhex(id))
        return None if row is None else _SHOWN[kind](row)

    async def page(self, connection: Connection, kind: Kind, owner_id: str, limit: int) -> Page:
        """See the protocol."""
        owner = bytes.fromhex(owner_id)
        (count,) = await _row(connection, _SQL[kind].count, owner)
        found = await connection.execute_fetchall(_SQL[kind].page, (owner, limit))
        return Page(list(map(_SHOWN[kind], found)), count)

    async def user_and_row(
        self, connection: Connection, kind: Kind, user_id: str, id: str
    ) -> tuple[User | None, Shown | None]:
        """See the protocol. One statement."""
        row = await _row(connection, _SQL[kind].user_and_row, bytes.fromhex(user_id), bytes.fromhex(id))
        if row is None:
            return None, None
        return User(row[0], row[1]), None if row[2] is None else _SHOWN[kind](row[2:])

    async def user_and_page(
        self, connection: Connection, kind: Kind, user_id: str, limit: int
    ) -> tuple[User | None, Page]:
        """See the protocol. Two statements."""
        owner = bytes.fromhex(user_id)
        row = await _row(connection, _SQL[kind].user_and_count, owner)
        if row is None:
            return None, Page([], 0)
        is_active, session_version, count = row
        found = await connection.execute_fetchall(_SQL[kind].page, (owner, limit))
        return User(is_active, session_version), Page(list(map(_SHOWN[kind], found)), count)

    async def add(self, connection: Connection, kind: Kind, owner_id: str, new: Mapping[str, Any]) -> Shown:
        """See the protocol."""
        id_, time, values = ObjectId(), now(), completed(kind, new)
        cells = dict(values)
        if kind == "products":
            cells["price"] = cents_of(values["price"])
            values["price"] = price_text(cells["price"])
            cells["tags"] = orjson.dumps(values["tags"]).decode()
        stored_time = time.replace(tzinfo=None).isoformat(" ", "microseconds")
        texts = folded(kind, values).values()
        row = (id_.binary, *cells.values(), bytes.fromhex(owner_id), stored_time, *texts)
        await connection.execute_fetchall(_SQL[kind].add, row)
        return shown_new(id_, values, owner_id, time)

    async def transfer(
        self, connection: Connection, user_id: str, from_id: str, to_id: str, amount: int, note: str | None
    ) -> Shown:
        """See the protocol."""
        user, source, target = bytes.fromhex(user_id), bytes.fromhex(from_id), bytes.fromhex(to_id)
        id_, time = ObjectId(), now()
        stored_time = time.replace(tzinfo=None).isoformat(" ", "microseconds")
        await connection.execute_fetchall("BEGIN IMMEDIATE")
        try:
            taken = await _row(connection, _TAKE, source, amount, user)
            given = taken and await _row(connection, _GIVE, target, amount, taken[3])
            if not given:
                _refuse()
            sides = (source, *taken[:3], target, *given)
            await connection.execute_fetchall(
                _ADD_TRANSFER, (id_.binary, user, amount, note, stored_time, *sides)
            )
            await connection.execute_fetchall("COMMIT")
        except BaseException:
            await connection.execute_fetchall("ROLLBACK")
            raise
        return shown_transfer(id_, from_id, to_id, amount, note, time)
