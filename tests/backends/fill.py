"""Fill a database with enough rows for a realistic query plan, without the repositories."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any

from bson import Int64, ObjectId
from sqlalchemy import insert, text

from backends.ids import new_id
from backends.models import with_folded
from backends.sql.schema import ACCOUNTS, IDEMPOTENCY_KEYS, ITEMS, TRANSFERS, USERS
from config import Settings
from tests.backends.raw import mongo_database, sql_connection

OWNERS = 100
ROWS = 10_000
START = datetime(2026, 11, 22, tzinfo=UTC)

Row = dict[str, Any]


@dataclass(frozen=True)
class Filled:
    """Keys of the stored rows. The first hundred users own the items, the next hundred the accounts."""

    settings: Settings
    users: list[Row]
    items: list[Row]
    accounts: list[Row]
    transfers: list[Row]
    idempotency_keys: list[Row]


@cache
def rows() -> dict[str, list[Row]]:
    """Generate rows of every table, one per millisecond. All databases have the same."""
    users = [
        {
            "id": new_id(),
            "email": f"user-{number}@example.com",
            "hashed_password": "x",
            "full_name": None,
            "is_active": number % 3 > 0,
            "is_superuser": False,
            "created_at": START + timedelta(milliseconds=number),
            "version": 1,
            "session_version": 0,
        }
        for number in range(ROWS)
    ]
    items = [
        with_folded(
            {
                "id": new_id(),
                "title": f"Item {number * 7 % ROWS}",
                "description": ("Even", "Odd", None)[number % 3],
                "owner_id": users[number % OWNERS]["id"],
                "created_at": START + timedelta(milliseconds=number),
                "version": 1,
            }
        )
        for number in range(ROWS)
    ]
    accounts = [
        {
            "id": new_id(),
            # Other users than the owners of the items, because the deletion of a user with accounts is more
            # complex.
            "owner_id": users[OWNERS + number % OWNERS]["id"],
            "name": f"Account {number * 7 % ROWS}",
            "currency": ("EUR", "USD")[number % 2],
            "balance_minor": 0,
            "created_at": START + timedelta(milliseconds=number),
            "version": 1,
        }
        for number in range(ROWS)
    ]
    transfers = [_transfer(number, accounts) for number in range(ROWS)]
    keys = [
        {
            "owner_id": users[OWNERS + number % OWNERS]["id"],
            "key": f"key {number}",
            "fingerprint": "f",
            "outcome": "{}",
            "created_at": START,
        }
        for number in range(ROWS)
    ]
    return {
        "users": users,
        "items": items,
        "accounts": accounts,
        "transfers": transfers,
        "idempotency_keys": keys,
    }


def _transfer(number: int, accounts: list[Row]) -> Row:
    """Return an entry from one of the first hundred accounts to the next one."""
    sides = {
        f"{side}_{name}": value
        for side, account in (("from", accounts[number % 100]), ("to", accounts[(number + 1) % 100]))
        for name, value in (
            ("account_id", account["id"]),
            ("owner_id", account["owner_id"]),
            ("balance_minor", 0),
            ("version", 2 + 2 * (number // 100) + (side == "to")),
        )
    }
    return {
        "id": new_id(),
        "ordered_by": accounts[number % 100]["owner_id"],
        "idempotency_key": f"key {number}",
        "amount_minor": 1,
        "note": None,
        "created_at": START + timedelta(milliseconds=number),
        **sides,
    }


async def fill_sql(settings: Settings) -> Filled:
    """Insert the rows and update the planner's statistics."""
    filled = rows()
    async with sql_connection(settings) as connection:
        # A single transaction, because SQLite syncs to disk at each commit.
        await connection.exec_driver_sql("BEGIN")
        for table in (USERS, ITEMS, ACCOUNTS, TRANSFERS, IDEMPOTENCY_KEYS):
            await connection.execute(insert(table), filled[table.name])
        await connection.exec_driver_sql("COMMIT")
        on_sqlite = settings.db_backend == "sqlite"
        await connection.execute(text("ANALYZE" if on_sqlite else "VACUUM ANALYZE"))
    return Filled(settings, **filled)


async def fill_mongo(settings: Settings) -> Filled:
    """Insert the rows as documents."""
    filled = rows()
    async with mongo_database(settings) as database:
        for name, some in filled.items():
            more = {"accounts_opened": 1} if name == "users" else {}
            await database[name].insert_many([to_document(row) | more for row in some])
    return Filled(settings, **filled)


def to_document(row: Row) -> Row:
    """Return the row with MongoDB's name of the id, and its types for ids and money."""
    return {"_id" if name == "id" else name: _native(name, value) for name, value in row.items()}


def _native(name: str, value: object) -> object:
    if name in {"id", "ordered_by"} or name.endswith("_id"):
        return ObjectId(str(value))
    return Int64(int(str(value))) if name.endswith("_minor") else value
