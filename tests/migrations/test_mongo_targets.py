"""Revisions on MongoDB while others lock a collection, delete what its documents get, or break a rule."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import Annotated, Any

import pytest
from bson import Int64, ObjectId

from backends.errors import Conflict
from eitherdb import Filterable, Searchable, Unique
from eitherdb.migrations import (
    AddField,
    AddResource,
    ChangeBounds,
    DropUnique,
    MakeRequired,
)
from migrations import MigrationError
from migrations.mongo import operations as mongo_operations
from migrations.resources.operations import Operation
from tests.backends.raw import MongoDatabase, mongo_database
from tests.migrations.change_cases import Text, declare
from tests.migrations.mongo_books import (
    BOOKS,
    CHANGES,
    FIELDS,
    NOW,
    USER,
    Book,
    Shelf,
    book,
    documents,
    prepare,
    run,
)
from tests.migrations.mongo_writes import before_writes
from tests.migrations.shop import history_with
from tests.provision import Provision

SECONDS = 20.0
SHELF = {"_id": ObjectId(f"{7:024x}"), "name": "A", "created_at": NOW, "version": Int64(1)}
OPTIONAL = declare({"label": Annotated[Text | None, Searchable(), Filterable(), Unique()]}).__resource__


async def test_a_new_field_that_may_be_null_changes_no_document(
    mongo: Provision, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A server of before adds documents before each write, and is never refused."""
    commands: list[str] = []

    async def add(database: MongoDatabase, command: str) -> None:
        commands.append(command)
        await database["books"].insert_one(book(100 + len(commands)))

    async with mongo.empty_database() as settings:
        found = await run(settings, [AddField("books", OPTIONAL.by_name["label"])], add, monkeypatch)
    assert commands.count("collMod") == 1
    assert not {"update_many", "bulk_write"} & set(commands)
    assert not any({"label", "label_folded"} & each.keys() for each in found.values())
    assert len(found) == len(BOOKS) + len(commands)


async def test_a_value_of_a_field_that_may_be_null_is_given_to_the_documents_that_exist(
    mongo: Provision, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A server of before goes on adding documents with null, without end."""
    commands: list[str] = []

    async def add(database: MongoDatabase, command: str) -> None:
        commands.append(command)
        await database["books"].insert_one(book(100 + len(commands)))

    field = replace(OPTIONAL.by_name["label"], unique=False, filterable=False)
    async with asyncio.timeout(SECONDS), mongo.empty_database() as settings:
        found = await run(settings, [AddField("books", field, "Ä")], add, monkeypatch)
    given = [(each.get("label"), each.get("label_folded")) for _, each in sorted(found.items())]
    strict = len(commands) - commands[::-1].index("collMod")
    assert given[: len(BOOKS) + strict] == [("Ä", "ä")] * (len(BOOKS) + strict)
    assert given[-1] == (None, None)


TARGETS: dict[str, tuple[Sequence[Operation], str, dict[str, Any]]] = {
    "owner": (CHANGES["owner"], "users", USER),
    "reference": (
        [AddField("books", FIELDS["shelf_id"], str(SHELF["_id"]))],
        "shelves",
        SHELF,
    ),
}


@pytest.mark.parametrize("name", TARGETS)
async def test_an_owner_or_a_row_that_is_deleted_meanwhile_is_taken_away_again(
    mongo: Provision, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """No document is left that refers to nothing. With the user or row, the next run succeeds."""
    operations, table, target = TARGETS[name]
    column = "owner_id" if name == "owner" else "shelf_id"
    first = [AddResource(Book.__resource__), AddResource(Shelf.__resource__)]
    commands: list[str] = []
    async with mongo.empty_database() as settings, mongo_database(settings) as database:
        migrator = await prepare(settings, database, history_with(first, operations))
        await database["shelves"].insert_one(SHELF)

        async def delete(command: str) -> None:
            commands.append(command)
            if "update_many" in commands and command != "update_many":
                await database[table].delete_many({})

        with before_writes(delete, monkeypatch), pytest.raises(MigrationError, match=r"no (user|row)"):
            await migrator.upgrade()
        assert all(each.get(column) is None for each in (await documents(database)).values())
        await database["books"].insert_one(book(9))
        # An interrupted run gave a user who is deleted since.
        left = {"$set": {column: ObjectId()}} if name == "owner" else {"$unset": {column: ""}}
        await database["books"].update_one({"_id": BOOKS[0]["_id"]}, left)
        again = {**target, "_id": ObjectId()} if name == "owner" else target
        await database[table].insert_one(again)
        assert await migrator.upgrade() == ["shop:0002"]
        assert await migrator.check() == []
        assert {each[column] for each in (await documents(database)).values()} == {again["_id"]}


async def test_a_row_that_breaks_a_rule_that_no_validator_knows_is_named(
    mongo: Provision, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Bounds of times are checked once more at the end; without the row, the next run succeeds."""
    field = declare({"at": datetime | None}).__resource__.by_name["at"]
    history = history_with(
        [AddResource(Book.__resource__), AddField("books", field)],
        [ChangeBounds("books", "at", minimum="2026-01-01T00:00:00Z")],
    )
    early = book(9, at=datetime(2025, 12, 31))  # noqa: DTZ001 - UTC
    async with mongo.empty_database() as settings, mongo_database(settings) as database:
        migrator = await prepare(settings, database, history)

        async def add(_: str) -> None:
            if not await database["books"].count_documents({"_id": early["_id"]}):
                await database["books"].insert_one(early)

        with (
            before_writes(add, monkeypatch),
            pytest.raises(MigrationError, match=r"new bounds in 0+9; this revision changed nothing"),
        ):
            await migrator.upgrade()
        await database["books"].delete_one({"_id": early["_id"]})
        assert await migrator.upgrade() == ["shop:0002"]


LOCKED: dict[str, Operation] = {
    "collMod": MakeRequired("books", "pages", 1),
    "drop_index": DropUnique("books", ("code",)),
}


@pytest.mark.parametrize("command", LOCKED)
async def test_writes_go_on_while_a_collection_is_locked_for_long(
    mongo: Provision, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    """A transaction holds the lock; the migrator waits in attempts, and ends with an error at last."""
    monkeypatch.setattr(mongo_operations, "LOCK_MILLISECONDS", 50)
    history = history_with([AddResource(Book.__resource__)], [LOCKED[command]])
    async with mongo.empty_database() as settings, mongo_database(settings) as database:
        migrator = await prepare(settings, database, history)
        failed = asyncio.Event()
        attempts = 0

        async def count(name: str) -> None:
            nonlocal attempts
            attempts += name == command
            if attempts == 2:
                failed.set()

        async with database.client.start_session() as session, asyncio.timeout(SECONDS):
            async with await session.start_transaction():
                await database["books"].insert_one(book(8), session=session)
                monkeypatch.setattr(mongo_operations, "LOCK_WAIT_SECONDS", 0)
                with pytest.raises(Conflict, match="the collection books stayed locked for 0 seconds"):
                    await migrator.upgrade()
                monkeypatch.setattr(mongo_operations, "LOCK_WAIT_SECONDS", SECONDS)
                with before_writes(count, monkeypatch):
                    upgrade = asyncio.create_task(migrator.upgrade())
                    await failed.wait()
                    await database["books"].insert_one(book(9))
            assert await upgrade == ["shop:0002"]
        assert await migrator.check() == []
        assert len(await documents(database)) == len(BOOKS) + 2
