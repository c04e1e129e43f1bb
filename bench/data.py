"""The rows of the benchmarks, and their bulk insertion into each database with the raw driver."""

from __future__ import annotations

import asyncio
import itertools
import json
import sqlite3
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any, cast

import asyncpg
from argon2 import PasswordHasher
from bson import Int64, ObjectId
from pymongo import AsyncMongoClient

from backends.models import with_folded

ITEMS_OF_AN_OWNER = 500
"""Five pages per owner. They stay five, because the benchmarks create items for other users."""

BATCH = 10_000
START = datetime(2026, 1, 1, tzinfo=UTC)
MONEY = 10**12

Row = dict[str, Any]


@dataclass(frozen=True)
class Data:
    """Users, each with an account that has money.

    The first own the items and the products, five hundred of each; the last is a superuser.

    Attributes:
        users: Their ids, and so on.
    """

    users: list[ObjectId]
    items: list[ObjectId]
    accounts: list[ObjectId]

    @classmethod
    def of(cls, *, users: int, items: int) -> Data:
        """Create the ids of the given numbers of users, accounts and items."""
        if items > (users - 1) * ITEMS_OF_AN_OWNER:
            raise ValueError("there must be users without items")
        return cls(*([ObjectId() for _ in range(count)] for count in (users, items, users)))

    def owner_of(self, item: int) -> ObjectId:
        """Return the owner of the item with this number."""
        return self.users[item // ITEMS_OF_AN_OWNER]

    def user_rows(self) -> Iterator[Row]:
        """Return the users; none has ended sessions."""
        hashed_password = PasswordHasher().hash("correct horse battery staple")
        for number, id_ in enumerate(self.users):
            yield {
                "id": id_,
                "email": f"user-{number}@example.com",
                "hashed_password": hashed_password,
                "full_name": f"User {number}",
                "is_active": True,
                "is_superuser": number == len(self.users) - 1,
                "created_at": _time(number),
                "version": 1,
                "session_version": 0,
            }

    def item_rows(self, *, first: int = 0) -> Iterator[Row]:
        """Return the items, beginning with this number."""
        for number in range(first, len(self.items)):
            yield with_folded(
                {
                    "id": self.items[number],
                    "title": f"Item {number}",
                    "description": f"What is to be said of item {number}",
                    "owner_id": self.owner_of(number),
                    "created_at": _time(number),
                    "version": 1,
                }
            )

    def product_rows(self) -> Iterator[Row]:
        """Return the products, as many as items, with the same ids and owners."""
        for number, id_ in enumerate(self.items):
            row = {
                "id": id_,
                "name": f"Product {number}",
                "sku": f"SKU-{number:08}",
                "description": f"What is to be said of product {number}",
                "price": 100 + number % 10_000,
                "stock": number % 100,
                "weight": number % 1_000 / 4,
                "is_active": True,
                "state": "published" if number % 2 else "draft",
                "released_on": date(2026, 1, 1 + number % 28),
                "tags": ["brass", f"size-{number % 10}"],
                "owner_id": self.owner_of(number),
                "created_at": _time(number),
                "version": 1,
            }
            yield with_folded(row, ("name",))

    def account_rows(self) -> Iterator[Row]:
        """Return the accounts."""
        for number, (id_, owner_id) in enumerate(zip(self.accounts, self.users, strict=True)):
            yield {
                "id": id_,
                "owner_id": owner_id,
                "name": f"Account {number}",
                "currency": "EUR",
                "balance_minor": MONEY,
                "created_at": _time(number),
                "version": 1,
            }

    def tables(self) -> dict[str, Iterable[Row]]:
        """Return all rows, owners before their rows."""
        return {
            "users": self.user_rows(),
            "items": self.item_rows(),
            "products": self.product_rows(),
            "accounts": self.account_rows(),
        }


def _time(number: int) -> datetime:
    return START + timedelta(milliseconds=number)


def fill(database: str, url: str, tables: dict[str, Iterable[Row]]) -> None:
    """Add rows to a migrated database."""
    if database == "sqlite":
        _fill_sqlite(url.removeprefix("sqlite:///"), tables)
    elif database == "postgres":
        asyncio.run(_fill_postgres(url, tables))
    else:
        asyncio.run(_fill_mongo(url, tables))


def _batches(rows: Iterable[Row]) -> Iterator[list[Row]]:
    iterator = iter(rows)
    while batch := list(itertools.islice(iterator, BATCH)):
        yield batch


def _fill_sqlite(path: str, tables: dict[str, Iterable[Row]]) -> None:
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("BEGIN")
    for name, rows in tables.items():
        for batch in _batches(rows):
            places = ", ".join("?" * len(batch[0]))
            connection.executemany(
                f"INSERT INTO {name} ({', '.join(batch[0])}) VALUES ({places})",  # noqa: S608 - names of ours
                [[_for_sqlite(value) for value in row.values()] for row in batch],
            )
    connection.execute("COMMIT")
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    connection.close()


def _for_sqlite(value: Any) -> Any:
    """Convert a value as the types of the schema do."""
    match value:
        case ObjectId():
            return value.binary
        case datetime():
            return value.replace(tzinfo=None).isoformat(" ", "microseconds")
        case date():
            return value.isoformat()
        case list():
            return json.dumps(value)
    return value


def _for_postgres(value: Any) -> Any:
    """Convert a value as the types of the schema do."""
    match value:
        case ObjectId():
            return value.binary
        case list():
            return json.dumps(value)
    return value


async def _fill_postgres(url: str, tables: dict[str, Iterable[Row]]) -> None:
    connection = await asyncpg.connect(url)
    for name, rows in tables.items():
        for batch in _batches(rows):
            records = [[_for_postgres(value) for value in row.values()] for row in batch]
            await connection.copy_records_to_table(name, records=records, columns=list(batch[0]))
    # The server would do this later by itself, in the middle of a measurement.
    await connection.execute("VACUUM ANALYZE")
    await connection.close()


async def _fill_mongo(url: str, tables: dict[str, Iterable[Row]]) -> None:
    async with AsyncMongoClient[Row](url) as client:
        database = client.get_default_database()
        for name, rows in tables.items():
            for batch in _batches(rows):
                await database[name].insert_many([_document(name, row) for row in batch], ordered=False)


def _document(table: str, row: Row) -> Row:
    document = {"_id" if name == "id" else name: value for name, value in row.items()}
    if table == "users":
        document["accounts_opened"] = 1
    if table == "products":
        document |= {name: Int64(cast("int", document[name])) for name in ("price", "stock")}
        document["released_on"] = datetime.combine(cast("date", document["released_on"]), time())
    if table == "accounts":
        document["balance_minor"] = Int64(cast("int", document["balance_minor"]))
    return document
