"""SQLite: aiosqlite, hand-written SQL; one connection for writes, because SQLite has one writer."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, NoReturn

import aiosqlite
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
    shown_transfer,
)

Connection = aiosqlite.Connection

_USER = "SELECT is_active, session_version FROM users WHERE id = ?"
_ITEM = "SELECT id, title, description, owner_id, created_at FROM items WHERE id = ?"
_USER_AND_ITEM = """
SELECT u.is_active, u.session_version, i.id, i.title, i.description, i.owner_id, i.created_at
FROM users u LEFT JOIN items i ON i.id = ?2 WHERE u.id = ?1
"""
_USER_AND_COUNT = """
SELECT is_active, session_version, (SELECT count(*) FROM items WHERE owner_id = ?1) FROM users WHERE id = ?1
"""
_COUNT = "SELECT count(*) FROM items WHERE owner_id = ?"
_PAGE = """
SELECT id, title, description, owner_id, created_at FROM items WHERE owner_id = ?
ORDER BY created_at DESC, id DESC LIMIT ?
"""
_ADD_ITEM = """
INSERT INTO items (id, title, description, owner_id, created_at, version, title_folded, description_folded)
VALUES (?, ?, ?, ?, ?, 1, ?, ?)
"""
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


def _shown(row: Any) -> Shown:
    id_, title, description, owner_id, time = row
    return {
        "id": id_.hex(),
        "title": title,
        "description": description,
        "owner_id": owner_id.hex(),
        "created_at": f"{time[:10]}T{time[11:23]}Z",  # of `2026-11-22 16:25:25.123000`
    }


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

    async def item(self, connection: Connection, id: str) -> Shown | None:
        """See the protocol."""
        row = await _row(connection, _ITEM, bytes.fromhex(id))
        return None if row is None else _shown(row)

    async def page(self, connection: Connection, owner_id: str, limit: int) -> Page:
        """See the protocol."""
        owner = bytes.fromhex(owner_id)
        (count,) = await _row(connection, _COUNT, owner)
        found = await connection.execute_fetchall(_PAGE, (owner, limit))
        return Page([_shown(row) for row in found], count)

    async def user_and_item(
        self, connection: Connection, user_id: str, id: str
    ) -> tuple[User | None, Shown | None]:
        """See the protocol. One statement."""
        row = await _row(connection, _USER_AND_ITEM, bytes.fromhex(user_id), bytes.fromhex(id))
        if row is None:
            return None, None
        return User(row[0], row[1]), None if row[2] is None else _shown(row[2:])

    async def user_and_page(
        self, connection: Connection, user_id: str, limit: int
    ) -> tuple[User | None, Page]:
        """See the protocol. Two statements."""
        owner = bytes.fromhex(user_id)
        row = await _row(connection, _USER_AND_COUNT, owner)
        if row is None:
            return None, Page([], 0)
        is_active, session_version, count = row
        found = await connection.execute_fetchall(_PAGE, (owner, limit))
        return User(is_active, session_version), Page([_shown(row) for row in found], count)

    async def add_item(
        self, connection: Connection, owner_id: str, title: str, description: str | None
    ) -> Shown:
        """See the protocol."""
        id_, time = ObjectId(), now()
        stored_time = time.replace(tzinfo=None).isoformat(" ", "microseconds")
        owner, texts = bytes.fromhex(owner_id), (folded(title), folded(description))
        await connection.execute_fetchall(
            _ADD_ITEM, (id_.binary, title, description, owner, stored_time, *texts)
        )
        return shown_item(id_, title, description, owner_id, time)

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
