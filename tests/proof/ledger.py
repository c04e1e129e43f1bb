"""Reads accounts and entries with the raw drivers, without code of EitherDB."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping, Sequence
from contextlib import closing
from typing import Any

import asyncpg
from bson import ObjectId
from pymongo import AsyncMongoClient
from sqlalchemy import make_url

from config import Settings
from tests.proof.history import AccountRow, Entry, Side

Rows = Sequence[Mapping[str, Any]]

_ACCOUNTS = "SELECT id, balance_minor, version FROM accounts"
_TRANSFERS = """
SELECT id, idempotency_key, amount_minor,
    from_account_id, from_balance_minor, from_version, to_account_id, to_balance_minor, to_version
FROM transfers
"""


async def read_ledger(settings: Settings) -> tuple[dict[str, AccountRow], list[Entry]]:
    """Return all accounts and all entries, after the last write."""
    read = {"sqlite": _read_sqlite, "postgres": _read_postgres, "mongo": _read_mongo}[settings.db_backend]
    accounts, entries = await read(settings.url)
    return (
        {_text(row["id"]): AccountRow(row["balance_minor"], row["version"]) for row in accounts},
        [_entry(row) for row in entries],
    )


async def _read_sqlite(url: str) -> tuple[Rows, Rows]:
    with closing(sqlite3.connect(make_url(url).database or "")) as connection:
        connection.row_factory = sqlite3.Row
        (fault,) = connection.execute("PRAGMA integrity_check").fetchone()
        assert fault == "ok", fault
        return connection.execute(_ACCOUNTS).fetchall(), connection.execute(_TRANSFERS).fetchall()


async def _read_postgres(url: str) -> tuple[Rows, Rows]:
    connection = await asyncpg.connect(url)
    try:
        accounts, entries = await connection.fetch(_ACCOUNTS), await connection.fetch(_TRANSFERS)
        return [dict(row) for row in accounts], [dict(row) for row in entries]
    finally:
        await connection.close()


async def _read_mongo(url: str) -> tuple[Rows, Rows]:
    async with AsyncMongoClient[dict[str, Any]](url, readConcernLevel="majority") as client:
        database = client.get_default_database()
        accounts, entries = (
            await database.accounts.find().to_list(),
            await database.transfers.find().to_list(),
        )
    return [row | {"id": row["_id"]} for row in accounts], [row | {"id": row["_id"]} for row in entries]


def _text(id_: bytes | ObjectId) -> str:
    return id_.hex() if isinstance(id_, bytes) else str(id_)


def _entry(row: Mapping[str, Any]) -> Entry:
    source, target = (
        Side(_text(row[f"{side}_account_id"]), row[f"{side}_balance_minor"], row[f"{side}_version"])
        if row[f"{side}_account_id"] is not None
        else None
        for side in ("from", "to")
    )
    return Entry(_text(row["id"]), row["idempotency_key"], row["amount_minor"], source, target)
