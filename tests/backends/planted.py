"""Invalid rows that are written without the repositories, as invalid as each database allows."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Protocol

from bson import DatetimeMS, Int64, ObjectId
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from backends.models import (
    Account,
    Idempotency,
    Item,
    NewAccount,
    NewEntry,
    NewItem,
    NewTransfer,
    NewUser,
    User,
)
from backends.protocols import Backend
from backends.rows import RowKind
from config import Settings
from tests.backends.raw import MongoDatabase, mongo_database, sql_connection

HASH = "$argon2id$v=19$m=8,t=1,p=1$c29tZXNhbHQ$aGFzaGhhc2g"
UNUSED_ID = ObjectId("00112233445566778899aabb")

ALL = ("sqlite", "postgres", "mongo")
UNTYPED = ("sqlite", "mongo")
"""Databases that store values of other types and lengths once their checks are off."""

MISSING = object()


@dataclass(frozen=True)
class PlantedFault:
    """A fault: one field of one row and its invalid value.

    Attributes:
        value: The stored value; MISSING for a document without the field.
        problem: The problem that the check reports.
        on: The kinds of databases that can store it.
        field: The reported field, if it is not the changed one.
        fails: Whether a repository fails to read the row.
    """

    kind: RowKind
    name: str
    value: Any
    problem: str
    on: Sequence[str] = ALL
    field: str | None = None
    fails: bool = False


_TIME = datetime(2026, 11, 22, 16, 25, 25, 123_456, tzinfo=UTC)

PLANTED_FAULTS = [
    PlantedFault("users", "email", "Ada@Example.com", "is not a normalised address"),
    PlantedFault("users", "email", "no address", "is not a normalised address"),
    PlantedFault("users", "hashed_password", "hunter2", "is no known hash"),
    PlantedFault("users", "session_version", -1, "should be greater than or equal to 0"),
    PlantedFault("users", "full_name", "a\0b", "should not contain the NUL character", UNTYPED),
    PlantedFault("users", "full_name", "x" * 256, "should have at most 255 characters", UNTYPED),
    PlantedFault("users", "is_active", 2, "should be a valid boolean", UNTYPED),
    PlantedFault("users", "created_at", "yesterday", "should be a valid datetime", UNTYPED, fails=True),
    PlantedFault(
        "users", "created_at", DatetimeMS(2**52), "should be a valid datetime", ["mongo"], fails=True
    ),
    PlantedFault("users", "full_name", MISSING, "is missing", ["mongo"], fails=True),
    PlantedFault("users", "accounts_opened", MISSING, "should be an integer", ["mongo"]),
    PlantedFault("items", "title", "", "should have at least 1 character"),
    PlantedFault("items", "title", b"\xff", "should be a valid string", UNTYPED),
    PlantedFault("items", "title", None, "is null", ["mongo"]),
    PlantedFault("items", "title", MISSING, "is missing", ["mongo"], fails=True),
    PlantedFault("items", "title_folded", "else", "is not the search form of the title"),
    PlantedFault("items", "description_folded", "else", "is not the search form of the description"),
    PlantedFault("items", "title_folded", MISSING, "is missing", ["mongo"]),
    PlantedFault("items", "version", 0, "should be greater than or equal to 1"),
    PlantedFault("items", "version", 1.5, "should be a valid integer", UNTYPED),
    PlantedFault(
        "items", "created_at", _TIME, "should be UTC in whole milliseconds", ["sqlite", "postgres"]
    ),
    PlantedFault("items", "owner_id", UNUSED_ID, f"names none of the users: {UNUSED_ID}"),
    PlantedFault(
        "items",
        "owner_id",
        b"short",
        "should be a valid string",
        ["sqlite", "postgres"],
    ),
    PlantedFault("accounts", "currency", "XXX", "should be a code of ISO 4217"),
    PlantedFault("accounts", "name", "", "should have at least 1 character"),
    PlantedFault("accounts", "owner_id", UNUSED_ID, f"names none of the users: {UNUSED_ID}"),
    PlantedFault("accounts", "balance_minor", -1, "should be greater than or equal to 0"),
    PlantedFault("accounts", "balance_minor", 7, "should be 10, the balance after its last entry"),
    PlantedFault("accounts", "version", 4, "counts entries that are not there: versions 3 to 4"),
    PlantedFault("transfers", "amount_minor", 0, "should be greater than or equal to 1"),
    PlantedFault("transfers", "amount_minor", 9, "should be 9", field="to_balance_minor"),
    PlantedFault("transfers", "to_balance_minor", 11, "should be 10"),
    PlantedFault(
        "transfers", "to_version", 3, "counts entries that are not there: version 2", field="version"
    ),
    PlantedFault("transfers", "to_owner_id", None, "is null though the entry has that side"),
    PlantedFault("transfers", "to_owner_id", UNUSED_ID, "is not the owner of the account"),
    PlantedFault(
        "transfers", "from_version", 2, "is null though the entry has that side", field="from_account_id"
    ),
    PlantedFault("transfers", "note", MISSING, "is missing", ["mongo"], fails=True),
    PlantedFault("idempotency_keys", "outcome", "{}", "is no outcome of a call"),
    PlantedFault("idempotency_keys", "outcome", '{"Nothing": {}}', "is no outcome of a call"),
    PlantedFault(
        "idempotency_keys",
        "outcome",
        f'{{"EntryId": "{UNUSED_ID}"}}',
        f"names none of the transfers: {UNUSED_ID}",
    ),
    PlantedFault("idempotency_keys", "fingerprint", "x", "is no SHA-256 digest"),
    PlantedFault("counters", "ends_at", "never", "should be a valid datetime", UNTYPED),
    PlantedFault("counters", "value", "many", "should be a valid integer", UNTYPED),
]


class Writer(Protocol):
    """Writes rows without the repositories."""

    async def set(self, kind: RowKind, key: dict[str, Any], name: str, value: Any) -> None:
        """Change one field of the row with this key."""

    async def delete(self, kind: RowKind, key: dict[str, Any]) -> None:
        """Delete the row with this key."""

    async def allow_duplicates(self) -> None:
        """Allow several users with one address."""


class SqlWriter:
    """Writes to a SQL database without checks and foreign keys."""

    def __init__(self, connection: AsyncConnection, *, on_sqlite: bool) -> None:
        self._connection = connection
        self._on_sqlite = on_sqlite

    async def set(self, kind: RowKind, key: dict[str, Any], name: str, value: Any) -> None:
        """See `Writer`."""
        where = " AND ".join(f"{column} = :key_{column}" for column in key)
        words = f"UPDATE {kind} SET {name} = :value WHERE {where}"  # noqa: S608 - this test's own words
        await self._connection.execute(text(words), {"value": self._stored(value), **self._keys(key)})

    async def delete(self, kind: RowKind, key: dict[str, Any]) -> None:
        """See `Writer`."""
        where = " AND ".join(f"{column} = :key_{column}" for column in key)
        await self._connection.execute(text(f"DELETE FROM {kind} WHERE {where}"), self._keys(key))  # noqa: S608 - (the same)

    async def allow_duplicates(self) -> None:
        """See `Writer`."""
        if self._on_sqlite:
            await self._connection.execute(text("CREATE TABLE copies AS SELECT * FROM users"))
            await self._connection.execute(text("DROP TABLE users"))
            await self._connection.execute(text("ALTER TABLE copies RENAME TO users"))
        else:
            await self._connection.execute(text("ALTER TABLE users DROP CONSTRAINT uq_users_email"))

    def _keys(self, key: dict[str, Any]) -> dict[str, Any]:
        return {f"key_{column}": self._stored(value) for column, value in key.items()}

    def _stored(self, value: Any) -> Any:
        if isinstance(value, ObjectId):
            return value.binary
        is_text = self._on_sqlite and isinstance(value, datetime)
        return value.strftime("%Y-%m-%d %H:%M:%S.%f") if is_text else value


class MongoWriter:
    """Writes to a MongoDB without validators."""

    def __init__(self, database: MongoDatabase) -> None:
        self._database = database

    async def set(self, kind: RowKind, key: dict[str, Any], name: str, value: Any) -> None:
        """See `Writer`."""
        is_money = name.endswith("_minor") and isinstance(value, int)
        change: dict[str, Any] = {"$set": {name: Int64(value) if is_money else value}}
        if value is MISSING:
            change = {"$unset": {name: ""}}
        found = await self._database[kind].update_one(
            self._key(kind, key), change, bypass_document_validation=True
        )
        assert found.matched_count == 1

    async def delete(self, kind: RowKind, key: dict[str, Any]) -> None:
        """See `Writer`."""
        await self._database[kind].delete_one(self._key(kind, key))

    async def allow_duplicates(self) -> None:
        """See `Writer`."""
        await self._database["users"].drop_index("uq_email")

    def _key(self, kind: RowKind, key: dict[str, Any]) -> dict[str, Any]:
        return key if kind == "idempotency_keys" else {"_id": next(iter(key.values()))}


@asynccontextmanager
async def writing(settings: Settings) -> AsyncIterator[Writer]:
    """Connect and turn off the checks that refuse invalid rows."""
    if settings.db_backend == "mongo":
        async with mongo_database(settings) as database:
            yield MongoWriter(database)
        return
    on_sqlite = settings.db_backend == "sqlite"
    async with sql_connection(settings) as connection:
        if on_sqlite:
            await connection.execute(text("PRAGMA ignore_check_constraints = ON"))
        else:
            await connection.execute(text("SET session_replication_role = replica"))
            for table, names in {
                "accounts": ["balance"],
                "transfers": ["amount", "from", "to", "sides"],
            }.items():
                for name in names:
                    words = f"ALTER TABLE {table} DROP CONSTRAINT IF EXISTS ck_{table}_{name}"
                    await connection.execute(text(words))
        yield SqlWriter(connection, on_sqlite=on_sqlite)


@dataclass(frozen=True)
class ValidRows:
    """Adds valid rows of every kind through the repositories, each with a number."""

    backend: Backend

    async def user(self, n: int) -> User:
        """Add a user."""
        return await self.backend.users.add(NewUser(email=f"user{n}@example.com", hashed_password=HASH))

    async def item(self, n: int, owner: User) -> Item:
        """Add an item with both texts."""
        new = NewItem(title=f"Straße {n}", description=None if n % 3 == 0 else f"Größe {n}")
        return await self.backend.items.add(new, owner_id=owner.id)

    async def account(self, n: int, owner: User) -> Account:
        """Add an account with one entry, a deposit of 10."""
        new = NewAccount(name=f"Account {n}", currency="EUR")
        account = await self.backend.accounts.add(
            new, owner_id=owner.id, idempotency=key_of(f"account {n}")
        )
        await self.backend.accounts.deposit(
            account.id,
            NewEntry(amount_minor=10, note="in"),
            ordered_by=owner.id,
            idempotency=key_of(f"in {n}"),
        )
        return account

    async def transfer(self, source: Account, target: Account, amount: int) -> None:
        """Transfer money."""
        new = NewTransfer(from_account_id=source.id, to_account_id=target.id, amount_minor=amount)
        await self.backend.accounts.transfer(new, ordered_by=source.owner_id)


def key_of(key: str) -> Idempotency:
    """Return an idempotency key with a fingerprint."""
    return Idempotency(key.replace(" ", "-"), "0123456789abcdef" * 4)


async def plant(
    valid: ValidRows, writer: Writer, plant: PlantedFault, n: int
) -> tuple[str, dict[str, Any]]:
    """Add a valid row of the kind and plant the fault in it. Return the row's reported name and its key."""
    backend = valid.backend
    owner = await valid.user(n)
    name = owner.id
    key: dict[str, Any] = {"id": ObjectId(owner.id)}
    if plant.kind == "items":
        name = (await valid.item(3 * n + 1, owner)).id
    elif plant.kind in {"accounts", "transfers", "idempotency_keys"}:
        name = (await valid.account(n, owner)).id
        if plant.kind == "transfers":
            name = (await backend.accounts.transfers(owner_id=owner.id)).data[0].id
    elif plant.kind == "counters":
        name = f"counter {n}"
        await backend.counters.add(name, 1, lasts_seconds=60)
        key = {"key": name}
    if plant.kind in {"items", "accounts", "transfers"}:
        key = {"id": ObjectId(name)}
    if plant.kind == "idempotency_keys":
        key = {"owner_id": ObjectId(owner.id), "key": f"in-{n}"}
        name = f"{owner.id}/in-{n}"
    await writer.set(plant.kind, key, plant.name, plant.value)
    return name, key
