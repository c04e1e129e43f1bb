"""Revisions that change collections, while a server of the revision before goes on writing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from bson import ObjectId
from pymongo.errors import DuplicateKeyError, WriteError

from backends.models import fold_case
from eitherdb.migrations import (
    AddField,
    AddMarkers,
    AddResource,
    AddUnique,
    ChangeBounds,
    DropField,
    DropResource,
    MakeOptional,
    MakeRequired,
    RemoveChoice,
)
from migrations import MigrationError, open_migrator
from migrations.mongo import fills
from migrations.resources.operations import Operation
from tests.backends.raw import MongoDatabase, mongo_database
from tests.migrations.mongo_books import (
    BOOKS,
    CHANGES,
    FIELDS,
    USER,
    Book,
    Shelf,
    book,
    documents,
    prepare,
    run,
    stored,
)
from tests.migrations.mongo_writes import before_writes
from tests.migrations.shop import first, history_with
from tests.provision import Provision

FILLS: dict[str, Sequence[Operation]] = {
    "add": [AddField("books", FIELDS["subtitle"], "Größe")],
    "drop": [DropField("books", "code")],
    "required": [MakeRequired("books", "pages", 1)],
    "choice": [RemoveChoice("books", "state", "lent", instead="sold")],
    "searchable": [AddMarkers("books", "title", ("searchable",))],
    "owner": CHANGES["owner"],
}


@pytest.mark.parametrize("name", FILLS)
async def test_documents_that_a_server_of_before_adds_meanwhile_are_changed_too(
    mongo: Provision, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """It adds a document before each write, until the validator refuses it; none is lost or invalid."""
    monkeypatch.setattr(fills, "BATCH", 2)
    added, refused, commands = list(BOOKS), [], []

    async def add(database: MongoDatabase, command: str) -> None:
        commands.append(command)
        # One in the order of ids before those that were read, one after them.
        for number in (1_000 + len(added), 900 - len(added)):
            new = book(number, state="lent", note="Größe")
            try:
                await database["books"].insert_one(new)
                added.append(new)
            except WriteError:
                refused.append(commands.count("collMod"))

    async with mongo.empty_database() as settings:
        found = await run(settings, FILLS[name], add, monkeypatch)
    assert found.keys() == {each["_id"] for each in added}
    assert len(added) > len(BOOKS) + 4
    # The loose validator, which the first `collMod` sets, accepts its documents.
    assert set(refused) == {2}
    for each in found.values():
        assert each["state"] != "lent" or name != "choice"
        assert ("code" in each) == (name != "drop")
        assert each["pages"] is not None or name != "required"
        assert each.get("subtitle_folded") == ("grösse" if name == "add" else None)
        assert each.get("title_folded") == (fold_case(each["title"]) if name == "searchable" else None)
        assert each.get("owner_id") == (USER["_id"] if name == "owner" else None)


async def test_a_text_that_a_server_of_before_changes_meanwhile_is_found(
    mongo: Provision, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It changes a title without its folded form before each write."""
    titles = iter(f"ÄPFEL {number}" for number in range(1_000))

    async def change(database: MongoDatabase, command: str) -> None:
        # The last comparison reads before its `bulk_write`.
        if command in {"collMod", "create_index", "update_one"}:
            where = {"_id": BOOKS[0]["_id"]}
            await database["books"].update_one(where, {"$set": {"title": next(titles)}})

    async with mongo.empty_database() as settings:
        found = await run(settings, FILLS["searchable"], _before_record(change), monkeypatch)
    assert {fold_case(each["title"]) for each in found.values()} == {
        each["title_folded"] for each in found.values()
    }


def _before_record(hook: Any) -> Any:
    """Leave out what comes after the step: the records of it."""
    is_over = False

    async def wrapped(database: MongoDatabase, command: str) -> None:
        nonlocal is_over
        schema = (await database["books"].options()).get("validator", {}).get("$jsonSchema", {})
        is_over = is_over or "title_folded" in schema.get("required", [])
        if not is_over:
            await hook(database, command)

    return wrapped


async def test_a_row_that_breaks_a_rule_meanwhile_is_named(
    mongo: Provision, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is written after the check; the validator is put back, and the next run succeeds."""
    history = history_with(
        [AddResource(Book.__resource__)], [ChangeBounds("books", "title", max_length=10)]
    )
    async with mongo.empty_database() as settings, mongo_database(settings) as database:
        migrator = await prepare(settings, database, history)
        before, long = await stored(database), book(9, title="x" * 11)

        async def add(command: str) -> None:
            if command == "collMod" and not await database["books"].count_documents({"_id": long["_id"]}):
                await database["books"].insert_one(long)

        with (
            before_writes(add, monkeypatch),
            pytest.raises(MigrationError, match="outside its new bounds in 000000000000000000000009"),
        ):
            await migrator.upgrade()
        await database["books"].delete_one({"_id": long["_id"]})
        after = await stored(database)
        assert (after[0], after[2]) == (before[0], before[2])
        assert await migrator.upgrade() == ["shop:0002"]
        assert await migrator.check() == []


async def test_duplicates_that_are_written_meanwhile_are_named(
    mongo: Provision, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The index is not created, and the error is that of the check."""
    history = history_with([AddResource(Book.__resource__)], [AddUnique("books", ("title",))])
    async with mongo.empty_database() as settings, mongo_database(settings) as database:
        migrator = await prepare(settings, database, history)

        async def add(command: str) -> None:
            if command == "create_index":
                await database["books"].insert_one(book(9, title=BOOKS[0]["title"]))

        with (
            before_writes(add, monkeypatch),
            pytest.raises(MigrationError, match=r"same value in 0+1, 0+9; "),
        ):
            await migrator.upgrade()
        await database["books"].delete_one({"_id": ObjectId(f"{9:024x}")})
        assert await migrator.upgrade() == ["shop:0002"]


REQUIRED: Sequence[Operation] = [MakeRequired("books", "code"), MakeOptional("books", "code")]


@pytest.mark.parametrize("operations", [REQUIRED[:1], REQUIRED])
async def test_uniqueness_holds_while_its_index_is_replaced(
    mongo: Provision, monkeypatch: pytest.MonkeyPatch, operations: Sequence[Operation]
) -> None:
    """A duplicate is refused before each write."""
    history = history_with([AddResource(Book.__resource__)], operations)
    async with mongo.empty_database() as settings, mongo_database(settings) as database:
        migrator = await prepare(settings, database, history)
        await database["books"].delete_many({"code": None})
        commands = []

        async def add(command: str) -> None:
            commands.append(command)
            with pytest.raises(DuplicateKeyError):
                await database["books"].insert_one(book(9, code="a"))

        with before_writes(add, monkeypatch):
            await migrator.upgrade()
        assert commands.count("create_index") >= 2
        assert await migrator.check() == []
        assert await migrator.downgrade("shop:0001") == ["shop:0002"]
        assert await open_migrator(settings, [first(history)]).check() == []


async def test_a_document_that_was_invalid_before_is_named(mongo: Provision) -> None:
    """A drifted document stops the fill with its id; the next run succeeds when it is corrected."""
    history = history_with([AddResource(Book.__resource__)], FILLS["add"])
    async with mongo.empty_database() as settings, mongo_database(settings) as database:
        migrator = await prepare(settings, database, history)
        bad = book(9, state="burnt")
        await database["books"].insert_one(bad, bypass_document_validation=True)
        with pytest.raises(
            MigrationError, match=r"documents that their validator refuses: 0+9; "
        ) as caught:
            await migrator.upgrade()
        assert "\n" not in str(caught.value)
        await database["books"].delete_one({"_id": bad["_id"]})
        assert await migrator.upgrade() == ["shop:0002"]
        assert len(await documents(database)) == len(BOOKS)


async def test_a_dropped_collection_is_created_empty_when_it_is_undone(mongo: Provision) -> None:
    """Another application may use the name afterwards, and then it is not touched."""
    history = history_with(
        [AddResource(Book.__resource__), AddResource(Shelf.__resource__)], [DropResource("books")]
    )
    async with mongo.empty_database() as settings, mongo_database(settings) as database:
        migrator = await prepare(settings, database, history)
        await migrator.upgrade()
        assert "books" not in await database.list_collection_names()
        await migrator.downgrade("shop:0001")
        assert await documents(database) == {}
        assert await open_migrator(settings, [first(history)]).check() == []
        await migrator.upgrade()
        await database["books"].insert_one({"of": "another application"})
        assert await migrator.check() == []
        assert await migrator.upgrade() == []
        with pytest.raises(Exception, match="books"):
            await migrator.downgrade("shop:base")
        assert await database["books"].count_documents({}) == 1
