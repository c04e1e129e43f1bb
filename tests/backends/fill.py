"""Fills a database with enough rows for a planner to care, past the repositories."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from bson import ObjectId
from sqlalchemy import insert, text

from backends.ids import new_id
from backends.models import with_folded
from backends.sql.schema import ITEMS, USERS
from config import Settings
from tests.backends.raw import mongo_database, sql_connection

OWNERS = 100
ROWS = 10_000
START = datetime(2026, 11, 22, tzinfo=UTC)

Row = dict[str, Any]


@dataclass(frozen=True)
class Filled:
    """The rows that are there: as many users as items, a hundred of whom own the items."""

    settings: Settings
    users: list[Row]
    items: list[Row]


def rows() -> tuple[list[Row], list[Row]]:
    """Make users and items, one a millisecond."""
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
    return users, items


async def fill_sql(settings: Settings) -> Filled:
    """Insert the rows, and let the planner count them."""
    users, items = rows()
    async with sql_connection(settings) as connection:
        await connection.execute(insert(USERS), users)
        await connection.execute(insert(ITEMS), items)
        on_sqlite = settings.db_backend == "sqlite"
        await connection.execute(text("ANALYZE" if on_sqlite else "VACUUM ANALYZE"))
    return Filled(settings, users, items)


async def fill_mongo(settings: Settings) -> Filled:
    """Insert the rows as documents."""
    users, items = rows()
    async with mongo_database(settings) as database:
        await database["users"].insert_many([to_document(row) for row in users])
        await database["items"].insert_many([to_document(row) for row in items])
    return Filled(settings, users, items)


def to_document(row: Row) -> Row:
    """Give a row MongoDB's name and type for its id."""
    document = {"_id" if name == "id" else name: value for name, value in row.items()}
    ids = {name: ObjectId(document[name]) for name in ("_id", "owner_id") if name in document}
    return document | ids
