"""Revision 0002 on a database with rows: the fields that it adds and removes."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from bson import ObjectId
from sqlalchemy.engine import Connection

from backends.errors import BackendError
from backends.models import Item, ItemFilter, fold_case
from backends.sql.types import ObjectIdBytes, UtcDateTime
from config import Settings
from migrations import open_migrator
from migrations.mongo.steps import m0002_versions_and_search as step
from tests.backends.raw import failing_commands, mongo_database, opened, sql_connection
from tests.contract.samples import hex_id
from tests.provision import Provision

Row = dict[str, Any]
Tables = dict[str, list[Row]]

MORE_THAN_TWO_BATCHES = 2 * step.BATCH + 100
USER_COUNT = 25
FEW = 50
DECOMPOSED = "Cafe\N{COMBINING ACUTE ACCENT}"
TEXTS = [
    "Straße",
    "İstanbul",
    DECOMPOSED,
    "CAFÉ",
    "\U00010400" * 255,
    "ß" * 255,
    "100% _off_",
    " ",
    "ΣΊΣΥΦΟΣ",
    "plain",
]
SEARCHES = ["STRASSE", "i\N{COMBINING DOT ABOVE}stan", "café", "\U00010428" * 255, "S" * 255, "% _", "ς"]
SQL_TYPES: dict[str, Any] = {
    "id": ObjectIdBytes(),
    "owner_id": ObjectIdBytes(),
    "created_at": UtcDateTime(),
    "is_active": sa.Boolean(),
    "is_superuser": sa.Boolean(),
}


def rows_of_0001(item_count: int) -> Tables:
    """Return users and `item_count` items, with nulls and text with unusual case folding."""
    began = datetime(2026, 11, 22, 16, 25, 25, 123_000, tzinfo=UTC)
    users = [
        {
            "id": hex_id(n),
            "email": f"user{n}@example.com",
            "hashed_password": f"hash {n}",
            "full_name": [None, "", "Ada Straße"][n % 3],
            "is_active": n % 2 == 0,
            "is_superuser": n == 0,
            "created_at": began + timedelta(milliseconds=n),
        }
        for n in range(USER_COUNT)
    ]
    items = [
        {
            "id": hex_id(USER_COUNT + n),
            "title": TEXTS[n % len(TEXTS)],
            "description": [None, "", *TEXTS][n % (len(TEXTS) + 2)],
            "owner_id": hex_id(n % USER_COUNT),
            "created_at": began + timedelta(milliseconds=n // 3),
        }
        for n in range(item_count)
    ]
    return {"users": users, "items": items}


def upgraded(tables: Tables) -> Tables:
    """Return the rows as 0002 should change them."""
    users = [{**user, "version": 1, "session_version": 0} for user in tables["users"]]
    items = [
        {
            **item,
            "version": 1,
            "title_folded": fold_case(item["title"]),
            "description_folded": None if item["description"] is None else fold_case(item["description"]),
        }
        for item in tables["items"]
    ]
    return {"users": users, "items": items}


async def fill(settings: Settings, tables: Tables) -> None:
    """Insert the rows without the repositories, which require the newest schema."""
    if settings.db_backend == "mongo":
        async with mongo_database(settings) as database:
            for name, rows in tables.items():
                await database[name].insert_many([_document(row) for row in rows])
        return
    async with sql_connection(settings) as connection:
        for name, rows in tables.items():
            await connection.execute(sa.insert(_table(name, list(rows[0]))), rows)


async def stored(settings: Settings) -> Tables:
    """Return all users and items with all their fields, in the order of their ids."""
    if settings.db_backend == "mongo":
        async with mongo_database(settings) as database:
            found = {
                name: await database[name].find({}).sort("_id").to_list() for name in ("users", "items")
            }
        return {name: [_row(document) for document in documents] for name, documents in found.items()}

    def read(connection: Connection, name: str) -> list[Row]:
        table = _table(name, [column["name"] for column in sa.inspect(connection).get_columns(name)])
        rows = connection.execute(sa.select(table).order_by(table.c.id))
        return [dict(row) for row in rows.mappings()]

    async with sql_connection(settings) as connection:
        return {name: await connection.run_sync(read, name) for name in ("users", "items")}


async def schema(settings: Settings) -> Row:
    """Return the tables or collections with their columns, keys, validators and indexes."""
    if settings.db_backend == "mongo":
        async with mongo_database(settings) as database:
            reply = await database.command({"listCollections": 1})
            return {
                found["name"]: (
                    # `collMod` writes the defaults explicitly.
                    {"validationLevel": "strict", "validationAction": "error", **found["options"]},
                    await database[found["name"]].index_information(),
                )
                for found in reply["cursor"]["firstBatch"]
            }

    def read(connection: Connection) -> Row:
        inspector = sa.inspect(connection)
        looks = (inspector.get_columns, inspector.get_indexes, inspector.get_foreign_keys)
        return {
            name: [sorted(map(str, look(name))) for look in looks] for name in inspector.get_table_names()
        }

    async with sql_connection(settings) as connection:
        return await connection.run_sync(read)


def _table(name: str, columns: list[str]) -> sa.TableClause:
    return sa.table(name, *(sa.column(column, SQL_TYPES.get(column)) for column in columns))


def _document(row: Row) -> Row:
    document: Row = {
        name: ObjectId(value) if name in {"id", "owner_id"} else value for name, value in row.items()
    }
    return {"_id": document.pop("id"), **document}


def _row(document: Row) -> Row:
    row: Row = {
        name: str(value) if isinstance(value, ObjectId) else value for name, value in document.items()
    }
    row["created_at"] = row["created_at"].replace(tzinfo=UTC)
    return {"id": row.pop("_id"), **row}


async def test_upgrade_to_0002_keeps_every_row_and_adds_the_new_fields(migrated: Provision) -> None:
    """Versions are 1, session versions 0, and texts are folded; null stays null."""
    before = rows_of_0001(MORE_THAN_TWO_BATCHES)
    async with migrated.empty_database() as settings:
        migrator = open_migrator(settings)
        await migrator.upgrade("0001")
        await fill(settings, before)
        assert await stored(settings) == before
        assert await migrator.upgrade("0002") == ["0002"]
        assert await stored(settings) == upgraded(before)


async def test_search_after_an_upgrade_from_0001_finds_the_old_items(migrated: Provision) -> None:
    """The repositories read and find the upgraded rows, and `check` reports no drift."""
    before = rows_of_0001(FEW)
    async with migrated.empty_database() as settings:
        migrator = open_migrator(settings)
        await migrator.upgrade("0001")
        await fill(settings, before)
        await migrator.upgrade()
        assert await migrator.check() == []
        async with opened(migrated.open(settings)) as backend:
            await backend.check_schema()
            oldest = before["items"][0]
            assert await backend.items.get(oldest["id"]) == Item.of_fields({**oldest, "version": 1})
            for q in SEARCHES:
                expected = {
                    item["id"]
                    for item in before["items"]
                    if fold_case(q) in fold_case(item["title"])
                    or fold_case(q) in fold_case(item["description"] or "")
                }
                page = await backend.items.list(where=ItemFilter(q=q), limit=FEW)
                assert expected
                assert {item.id for item in page.data} == expected, q
                assert page.count == len(expected)


async def test_downgrade_from_0002_keeps_every_row_and_can_be_upgraded_again(migrated: Provision) -> None:
    """Rows and schema are those of 0001; after another upgrade, the rows are those of 0002."""
    before = rows_of_0001(FEW)
    async with migrated.empty_database() as settings:
        migrator = open_migrator(settings)
        await migrator.upgrade("0001")
        await fill(settings, before)
        schema_before = await schema(settings)
        await migrator.upgrade("0002")
        assert await migrator.downgrade("0001") == ["0002"]
        assert await stored(settings) == before
        assert await schema(settings) == schema_before
        assert await migrator.upgrade("0002") == ["0002"]
        assert await stored(settings) == upgraded(before)


async def test_upgrade_to_0002_interrupted_anywhere_is_finished_by_the_next_run(
    mongo: Provision, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The upgrade is interrupted after each command, also between batches; a new run finishes."""
    monkeypatch.setattr(step, "BATCH", 20)
    before = rows_of_0001(FEW)
    commands = ("create", "collMod", "update", "createIndexes", "insert")
    folded_when_interrupted = set()
    is_interrupted, commands_done = True, 0
    while is_interrupted:
        async with mongo.empty_database() as settings, mongo_database(settings) as database:
            migrator = open_migrator(settings)
            await migrator.upgrade("0001")
            await fill(settings, before)
            async with failing_commands(database, *commands, skip=commands_done, errorCode=8000):
                is_interrupted = await _fails(migrator.upgrade("0002"))
            if is_interrupted:
                folded_when_interrupted.add(await database["items"].count_documents({"version": 1}))
                assert await migrator.current() == "0001"
                assert await migrator.upgrade("0002") == ["0002"]
            assert await stored(settings) == upgraded(before)
        commands_done += 1
    assert folded_when_interrupted == {0, 20, 40, FEW}


async def test_downgrade_from_0002_interrupted_anywhere_is_finished_by_the_next_run(
    mongo: Provision,
) -> None:
    """The downgrade is interrupted after each command; it stays recorded, and a new run finishes."""
    before = rows_of_0001(FEW)
    commands = ("create", "collMod", "update", "drop", "dropIndexes")
    interruptions, is_interrupted = 0, True
    async with mongo.empty_database() as settings, mongo_database(settings) as database:
        migrator = open_migrator(settings)
        await migrator.upgrade("0001")
        await fill(settings, before)
        schema_before = await schema(settings)
        while is_interrupted:
            await migrator.upgrade("0002")
            async with failing_commands(database, *commands, skip=interruptions, errorCode=8000):
                is_interrupted = await _fails(migrator.downgrade("0001"))
            if is_interrupted:
                interruptions += 1
                assert await migrator.current() == "0002"
                assert await migrator.downgrade("0001") == ["0002"]
            assert await stored(settings) == before
            assert await schema(settings) == schema_before
    # Lock and record: one each; counters, records of resources and the two indexes: one each; users and
    # items: three each.
    assert interruptions == 12


async def _fails(migration: Any) -> bool:
    """Run the migration; return whether a database error ended it."""
    try:
        await migration
    except BackendError:
        return True
    return False
