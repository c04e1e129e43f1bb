"""Revision 0004 on a database with rows: upgrade, rejected rows, downgrade."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

import pytest
import sqlalchemy as sa
from pymongo.errors import WriteError
from sqlalchemy.exc import IntegrityError

from backends.errors import BackendError
from backends.sql.schema import ACCOUNTS, TRANSFERS, USERS
from config import Settings
from migrations import Migrator, OutOfBounds, open_migrator
from migrations.mongo.steps import m0004_amounts_within_json as step
from tests.backends.fill import to_document
from tests.backends.raw import MongoDatabase, failing_commands, mongo_database, sql_connection
from tests.cli.command import call_async
from tests.contract.samples import hex_id
from tests.migrations.test_versions_and_search import schema
from tests.provision import Provision

Row = dict[str, Any]

MOST = 2**53 - 1
MOST_BEFORE = 2**63 - 1
NOW = datetime(2026, 11, 27, tzinfo=UTC)
USER: Row = {
    "id": hex_id(1),
    "email": "ada@example.com",
    "hashed_password": "x",
    "full_name": None,
    "is_active": True,
    "is_superuser": False,
    "created_at": NOW,
    "version": 1,
    "session_version": 0,
}
TABLES = {"accounts": ACCOUNTS, "transfers": TRANSFERS}
NUMBERS = {
    "accounts": ("balance_minor",),
    "transfers": ("amount_minor", "from_balance_minor", "to_balance_minor"),
}
EVERY_NUMBER = [(table, name) for table, names in NUMBERS.items() for name in names]


def row_of(table: str, number: int, **values: Any) -> Row:
    """Return a row with numbers at the new bound; `values` override its fields."""
    if table == "accounts":
        more: Row = {"owner_id": USER["id"], "name": "n", "currency": "EUR", "version": 2}
    else:
        more = {"ordered_by": USER["id"], "idempotency_key": None, "note": None}
        for side, account in (("from", 1000), ("to", 2000)):
            more |= {
                f"{side}_account_id": hex_id(account + number),
                f"{side}_owner_id": USER["id"],
                f"{side}_version": 2,
            }
    numbers = dict.fromkeys(NUMBERS[table], MOST)
    return {"id": hex_id(number), "created_at": NOW, **more, **numbers, **values}


async def write(settings: Settings, table: str, row: Row) -> None:
    """Insert the row without the repositories."""
    if settings.db_backend == "mongo":
        async with mongo_database(settings) as database:
            await database[table].insert_one(to_document(row))
        return
    async with sql_connection(settings) as connection:
        await connection.execute(sa.insert(TABLES[table]), row)


async def stored(settings: Settings) -> dict[str, list[Any]]:
    """Return all stored accounts and entries in the order of their ids."""
    if settings.db_backend == "mongo":
        async with mongo_database(settings) as database:
            return {name: await database[name].find({}).sort("_id").to_list() for name in TABLES}
    async with sql_connection(settings) as connection:
        return {
            name: [tuple(row) for row in await connection.execute(sa.select(table).order_by(table.c.id))]
            for name, table in TABLES.items()
        }


async def constraints(settings: Settings) -> Any:
    """Return the schema; on SQL with CHECK constraints, primary keys and unique constraints."""
    if settings.db_backend == "mongo":
        return await schema(settings)

    def read(connection: sa.Connection) -> Row:
        inspector = sa.inspect(connection)
        looks = (
            inspector.get_check_constraints,
            inspector.get_unique_constraints,
            lambda name: [inspector.get_pk_constraint(name)],
        )
        return {name: [sorted(map(str, look(name))) for look in looks] for name in TABLES}

    async with sql_connection(settings) as connection:
        return await schema(settings), await connection.run_sync(read)


@asynccontextmanager
async def database_of_0003(provision: Provision) -> AsyncIterator[tuple[Settings, Migrator]]:
    """Create a database at revision 0003 with a user, an account and an entry at the new bound."""
    async with provision.empty_database() as settings:
        migrator = open_migrator(settings)
        await migrator.upgrade("0003")
        if settings.db_backend == "mongo":
            async with mongo_database(settings) as database:
                await database["users"].insert_one(to_document(USER) | {"accounts_opened": 1})
        else:
            async with sql_connection(settings) as connection:
                await connection.execute(sa.insert(USERS), USER)
        for number, table in enumerate(TABLES):
            await write(settings, table, row_of(table, number))
        yield settings, migrator


async def test_upgrade_to_0004_keeps_what_is_within_the_bound(migrated: Provision) -> None:
    """2^53 - 1 passes; afterwards the database rejects 2^53 in each number field."""
    async with database_of_0003(migrated) as (settings, migrator):
        before = await stored(settings)
        assert await migrator.upgrade("0004") == ["0004"]
        assert await migrator.check() == []
        assert await stored(settings) == before
        for number, (table, name) in enumerate(EVERY_NUMBER, 10):
            await write(settings, table, row_of(table, number))
            with pytest.raises((IntegrityError, WriteError)):
                await write(settings, table, row_of(table, 100 + number, **{name: MOST + 1}))


async def test_upgrade_to_0004_refuses_numbers_beyond_and_changes_nothing(migrated: Provision) -> None:
    """Each number field of each table is checked; the upgrade passes after the rows are removed."""
    async with database_of_0003(migrated) as (settings, migrator):
        schema_before = await constraints(settings)
        for number, (table, name) in enumerate(EVERY_NUMBER, 10):
            beyond = row_of(table, number, **{name: (MOST + 1, MOST_BEFORE)[number % 2]})
            await write(settings, table, beyond)
            before = await stored(settings)
            with pytest.raises(OutOfBounds) as refused:
                await migrator.upgrade()
            assert refused.value.found == {**{name: [] for name in TABLES}, table: [beyond["id"]]}
            assert await migrator.current() == "0003"
            assert await stored(settings) == before
            assert await constraints(settings) == schema_before
            await remove(settings, table, beyond["id"])
        assert await migrator.upgrade("0004") == ["0004"]


async def test_refusal_of_0004_is_one_line_that_names_rows(migrated: Provision, tmp_path: Any) -> None:
    """The command's error names the bound, three ids per table and the remedy."""
    async with database_of_0003(migrated) as (settings, _):
        for number in range(10, 14):
            await write(settings, "accounts", row_of("accounts", number, balance_minor=MOST + number))
        await write(settings, "transfers", row_of("transfers", 20, amount_minor=MOST + 1))
        line = (await call_async(tmp_path, "migrate", "upgrade", settings=settings)).refusal()
        named = [id_ for id_ in map(hex_id, range(10, 14)) if id_ in line]
        assert len(named) == 3
        assert f"accounts {', '.join(named)} and others; transfers {hex_id(20)};" in line
        assert str(MOST) in line
        assert "nothing was changed" in line
        assert "eitherdb migrate upgrade" in line


async def test_downgrade_from_0004_restores_the_previous_bounds(migrated: Provision) -> None:
    """The rows stay, the schema is that of 0003, and 64-bit numbers can be stored again."""
    async with database_of_0003(migrated) as (settings, migrator):
        before, schema_before = await stored(settings), await constraints(settings)
        await migrator.upgrade("0004")
        assert await constraints(settings) != schema_before
        assert await migrator.downgrade("0003") == ["0004"]
        assert await constraints(settings) == schema_before
        assert await stored(settings) == before
        for number, (table, name) in enumerate(EVERY_NUMBER, 10):
            await write(settings, table, row_of(table, number, **{name: MOST_BEFORE}))


async def test_upgrade_to_0004_waits_for_running_writes(sql: Provision) -> None:
    """The upgrade waits for a running transaction and then checks its rows."""
    async with database_of_0003(sql) as (settings, migrator), sql_connection(settings) as connection:
        await connection.exec_driver_sql("BEGIN")
        await connection.execute(sa.insert(ACCOUNTS), row_of("accounts", 10, balance_minor=MOST + 1))
        upgrade = asyncio.create_task(migrator.upgrade())
        await asyncio.wait([upgrade], timeout=0.5)
        assert not upgrade.done()
        await connection.exec_driver_sql("COMMIT")
        with pytest.raises(OutOfBounds) as refused:
            await upgrade
        assert refused.value.found["accounts"] == [hex_id(10)]


async def test_upgrade_to_0004_reverts_the_validators_after_a_concurrent_write(
    mongo: Provision, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A second check finds a document that was written between the first check and the validators."""
    demand = step._demand

    async def demand_late(database: Any, fields: Any) -> None:
        monkeypatch.setattr(step, "_demand", demand)
        await database["accounts"].insert_one(to_document(row_of("accounts", 10, balance_minor=MOST + 1)))
        await demand(database, fields)

    async with database_of_0003(mongo) as (settings, migrator):
        schema_before = await schema(settings)
        monkeypatch.setattr(step, "_demand", demand_late)
        with pytest.raises(OutOfBounds):
            await migrator.upgrade()
        assert await schema(settings) == schema_before
        assert await migrator.current() == "0003"


@pytest.mark.parametrize(("start", "end"), [("0003", "0004"), ("0004", "0003")])
async def test_migration_of_0004_interrupted_anywhere_is_finished_by_the_next_run(
    mongo: Provision, start: str, end: str
) -> None:
    """The migration is interrupted after each command in turn; the next run finishes it."""
    interruptions, is_interrupted = 0, True
    async with database_of_0003(mongo) as (settings, migrator), mongo_database(settings) as database:
        await migrator.upgrade(end)
        schema_after = await schema(settings)
        while is_interrupted:
            await migrate_to(migrator, start)
            is_interrupted = await interrupted(database, migrator, end, after=interruptions)
            if is_interrupted:
                interruptions += 1
                assert await migrator.current() == start
                await migrate_to(migrator, end)
            assert await schema(settings) == schema_after
            assert await migrator.current() == end
    # Each collection takes `create`, which fails, and `collMod`.
    assert interruptions == 4


async def migrate_to(migrator: Migrator, target: str) -> None:
    """Upgrade or downgrade to the target."""
    await (migrator.upgrade if target == "0004" else migrator.downgrade)(target)


async def interrupted(database: MongoDatabase, migrator: Migrator, target: str, *, after: int) -> bool:
    """Let the migration's commands fail after `after` of them; return whether that ended the migration."""
    commands = ("create", "collMod", "insert")
    async with failing_commands(database, *commands, skip=after, errorCode=8000):
        try:
            await migrate_to(migrator, target)
        except BackendError:
            return True
    return False


async def remove(settings: Settings, table: str, id_: str) -> None:
    """Delete a row without the repositories."""
    if settings.db_backend == "mongo":
        async with mongo_database(settings) as database:
            await database[table].delete_one({"_id": to_document({"id": id_})["_id"]})
        return
    async with sql_connection(settings) as connection:
        await connection.execute(sa.delete(TABLES[table]).where(TABLES[table].c.id == id_))
