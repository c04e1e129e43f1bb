"""Databases of other applications, which EitherDB must not change."""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Awaitable, Callable
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sqlalchemy import inspect

from backends.sql.sqlite_url import sqlite_options
from config import Settings
from tests.backends.raw import MongoDatabase, mongo_database, sql_connection

Make = Callable[[MongoDatabase], Awaitable[Any]]

TEMPLATE_USERS = (
    "CREATE TABLE users (id integer CONSTRAINT pk_users PRIMARY KEY, email varchar(255), "
    "hashed_password varchar(255), full_name varchar(255), is_active boolean, is_superuser boolean, "
    "created_at timestamp, version bigint, session_version bigint)"
)
THEIR_USERS = "CREATE TABLE users (id integer PRIMARY KEY, email varchar(255))"
THEIR_ITEMS = "CREATE TABLE items (id integer PRIMARY KEY, name text)"


def versions(*numbers: str) -> list[str]:
    """Return the statements that create Alembic's table with these revisions."""
    return [
        "CREATE TABLE alembic_version (version_num varchar(32) NOT NULL)",
        *(f"INSERT INTO alembic_version VALUES ('{number}')" for number in numbers),  # noqa: S608 - the tests'
    ]


SQL: dict[str, list[str]] = {
    "table users": [THEIR_USERS, "INSERT INTO users VALUES (1, 'a@example.com')"],
    "table users with EitherDB's columns": [TEMPLATE_USERS],
    "table accounts": ["CREATE TABLE accounts (id integer PRIMARY KEY)"],
    "table counters": ["CREATE TABLE counters (key varchar(255) PRIMARY KEY, value bigint)"],
    "view items": ["CREATE VIEW items AS SELECT 1 AS id"],
    "index ix_items_title_id": [
        "CREATE TABLE other_app (id integer)",
        "CREATE INDEX ix_items_title_id ON other_app (id)",
    ],
    "alembic_version hashed": versions("ae1027a6acf"),
    "alembic_version like EitherDB's": versions("0003"),
    "alembic_version like an old one": [*versions("0001"), THEIR_USERS, THEIR_ITEMS],
    "alembic_version like EitherDB's with the names of its tables": [
        *versions("0003"),
        THEIR_USERS,
        THEIR_ITEMS,
    ],
    "alembic_version like a newer one": versions("9999"),
    "alembic_version of two": versions("0003", "ae1027a6acf"),
    "alembic_version of another form": ["CREATE TABLE alembic_version (id integer)"],
    "alembic_version as a view": ["CREATE VIEW alembic_version AS SELECT '0003' AS version_num"],
}
"""The SQL statements of each case; the error message names the first two words of the key."""

POSTGRES = {
    "materialized view users": ["CREATE MATERIALIZED VIEW users AS SELECT 1 AS id"],
    "sequence counters": ["CREATE SEQUENCE counters"],
    "type transfers": ["CREATE TYPE transfers AS ENUM ('one')"],
    "type items": ["CREATE TYPE items AS (id integer)"],
    "index pk_users": ["CREATE TABLE other_app (id integer CONSTRAINT pk_users PRIMARY KEY)"],
}
SQLITE = {
    "table users that is in capitals": ["CREATE TABLE USERS (id integer PRIMARY KEY)"],
    "view users that is broken": ["CREATE VIEW users AS SELECT * FROM nowhere"],
}

NOW = datetime(2026, 11, 27, tzinfo=UTC)
MONGO: dict[str, Make] = {
    "collection users": lambda database: database.users.insert_one({"_id": 1, "email": "a@example.com"}),
    "collection users that is empty": lambda database: database.create_collection("users"),
    "collection items with a validator": lambda database: database.create_collection(
        "items", validator={"$jsonSchema": {"properties": {"title": {}}, "additionalProperties": False}}
    ),
    "collection counters": lambda database: database.counters.insert_one({"_id": "users", "seq": 7}),
    "collection idempotency_keys": lambda database: database.idempotency_keys.create_index("key"),
    "view transfers": lambda database: database.command({"create": "transfers", "viewOn": "other_app"}),
    "timeseries accounts": lambda database: database.create_collection(
        "accounts", timeseries={"timeField": "at"}
    ),
    "capped collection deleted_users": lambda database: database.create_collection(
        "deleted_users", capped=True, size=4096
    ),
    "collection schema_migrations_lock": lambda database: database.schema_migrations_lock.insert_one(
        {"_id": 1}
    ),
    "schema_migrations of golang-migrate": lambda database: database.schema_migrations.insert_one(
        {"version": 3, "dirty": False}
    ),
    "schema_migrations of Mongoid": lambda database: database.schema_migrations.insert_many(
        [{"version": "20261127000000"}, {"version": "20261128000000"}]
    ),
    "schema_migrations like EitherDB's": lambda database: database.schema_migrations.insert_one(
        {"_id": "0003", "name": "create users", "applied_at": NOW}
    ),
    "schema_migrations like a newer one": lambda database: database.schema_migrations.insert_one(
        {"_id": "9999", "name": "create users", "applied_at": NOW}
    ),
    "schema_migrations as a view": lambda database: database.command(
        {"create": "schema_migrations", "viewOn": "other_app"}
    ),
}
"""The set-up of each case; the error message names the beginning of the key."""


async def make(settings: Settings, name: str) -> None:
    """Set up the case of this name in the database."""
    if settings.db_backend == "mongo":
        async with mongo_database(settings) as database:
            await MONGO[name](database)
        return
    await execute(settings, *{**SQL, **POSTGRES, **SQLITE}[name])


async def execute(settings: Settings, *statements: str) -> None:
    """Run statements; on SQLite with a rollback journal, not a WAL."""
    if settings.db_backend == "sqlite":
        with closing(sqlite3.connect(sqlite_options(settings).arguments["database"])) as file:
            file.executescript(";".join(statements))
        return
    async with sql_connection(settings) as connection:
        for statement in statements:
            await connection.exec_driver_sql(statement)


async def everything(settings: Settings) -> Any:
    """Return the whole content of the database."""
    if settings.db_backend == "sqlite":
        return _digest(Path(sqlite_options(settings).arguments["database"]))
    if settings.db_backend == "mongo":
        async with mongo_database(settings) as database:
            found = await (await database.list_collections()).to_list()
            return sorted(
                [
                    (each["name"], str(each), await database[each["name"]].find({}).to_list())
                    for each in found
                    if not each["name"].startswith("system.")
                ],
                key=lambda each: str(each[0]),
            )
    query = (
        "SELECT relname, relkind, xmin::text FROM pg_class WHERE relnamespace = 'public'::regnamespace "
        "UNION ALL SELECT typname, typtype, xmin::text FROM pg_type "
        "WHERE typnamespace = 'public'::regnamespace ORDER BY 1, 2"
    )
    async with sql_connection(settings) as connection:
        catalog = (await connection.exec_driver_sql(query)).all()
        names = await connection.run_sync(lambda sync: inspect(sync).get_table_names())
        rows = [
            (await connection.exec_driver_sql(f'SELECT * FROM "{name}"')).all()  # noqa: S608 - the tests'
            for name in sorted(names)
        ]
        return catalog, rows


def _digest(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()
