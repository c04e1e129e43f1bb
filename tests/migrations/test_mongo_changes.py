"""Revisions that change collections: stopped before each write, and while a server of before goes on."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime
from typing import Annotated, Any, Literal

import pytest
from bson import Int64, ObjectId
from pydantic import Field
from pymongo.errors import DuplicateKeyError, WriteError

from backends.models import fold_case
from backends.mongo.schema import MIGRATIONS_LOCK
from config import Settings
from eitherdb import Filterable, Reference, Resource, Searchable, Sortable, Unique
from eitherdb.migrations import (
    AddChoice,
    AddField,
    AddMarkers,
    AddOwner,
    AddResource,
    AddUnique,
    ChangeBounds,
    DropField,
    DropResource,
    MakeOptional,
    MakeRequired,
    RemoveChoice,
    RemoveMarkers,
    RenameField,
    Run,
)
from migrations import MigrationError, Migrator, open_migrator
from migrations.mongo import fills
from migrations.resources.history import History
from migrations.resources.operations import Operation
from tests.backends.raw import MongoDatabase, mongo_database
from tests.migrations.mongo_writes import StoppedError, before_writes, stop_before
from tests.migrations.shop import first, history_with
from tests.migrations.test_resource_interruption import DEFAULTS
from tests.provision import Provision

NOW = datetime(2026, 11, 22, tzinfo=UTC)


class Book(Resource, path="books", owned=False):
    """A book, before the change."""

    title: Annotated[str, Field(max_length=50), Sortable()]
    state: Literal["draft", "sold", "lent"]
    pages: int | None = None
    code: Annotated[str | None, Field(max_length=9), Unique()] = None
    note: Annotated[str | None, Field(max_length=50), Searchable()] = None


class Shelf(Resource, path="shelves", owned=False):
    """What books refer to after the change."""

    name: Annotated[str, Field(max_length=9), Unique()]


class Added(Resource, path="added"):
    """The fields that books get."""

    shelf_id: Annotated[str | None, Reference("shelves", on_delete="set_null"), Filterable()] = None
    subtitle: Annotated[str, Field(max_length=20), Searchable(), Sortable()] = "Größe"


def book(number: int, **values: Any) -> dict[str, Any]:
    """Return the document of a book, as a server of the revision before inserts it."""
    given = {"title": f"Straße {number}", "state": "draft", "pages": None, "code": None, "note": None}
    stored = {**given, **values}
    note = stored["note"]
    return {
        "_id": ObjectId(f"{number:024x}"),
        **stored,
        "note_folded": note and fold_case(note),
        "created_at": NOW,
        "version": Int64(1),
    }


BOOKS = [
    book(1, pages=Int64(7), code="a", note="Größe"),
    book(2, state="lent"),
    book(3, state="sold", code="b"),
    book(4, note="x"),
    book(5, state="lent", pages=Int64(9)),
]

USER = {
    "_id": ObjectId(),
    "email": "ada@example.com",
    "hashed_password": "x",
    "full_name": None,
    "is_active": True,
    "is_superuser": False,
    "created_at": NOW,
    "version": 1,
    "session_version": 1,
    "accounts_opened": 0,
}

_fields = Added.__resource__.by_name


async def _count(database: Any) -> None:
    await database["books"].update_many({}, {"$inc": {"version": 1}})


def _no_sql(_: Any) -> None:
    raise AssertionError


CHANGES: dict[str, Sequence[Operation]] = {
    "reference": [AddResource(Shelf.__resource__), AddField("books", _fields["shelf_id"])],
    "added and renamed": [
        AddField("books", _fields["subtitle"], "Größe"),
        RenameField("books", "title", "name"),
        AddUnique("books", ("name", "subtitle")),
    ],
    "choices": [
        RemoveChoice("books", "state", "lent", instead="sold"),
        AddChoice("books", "state", "lost"),
    ],
    "required": [MakeRequired("books", "pages", 1), ChangeBounds("books", "title", max_length=40)],
    "search": [
        AddMarkers("books", "title", ("searchable",)),
        RemoveMarkers("books", "note", ("searchable",)),
    ],
    "dropped": [DropField("books", "code"), MakeOptional("books", "title")],
    "owner": [AddOwner("books", "ada@example.com")],
}


async def prepare(settings: Settings, database: MongoDatabase, history: History) -> Migrator:
    """Apply the first revision and insert books."""
    await open_migrator(settings, [first(history)]).upgrade()
    await database["books"].insert_many(BOOKS)
    await database["users"].insert_one(USER)
    return open_migrator(settings, [history])


async def documents(database: MongoDatabase) -> dict[Any, dict[str, Any]]:
    """Return all books by their ids."""
    return {each["_id"]: each for each in await database["books"].find({}).to_list()}


async def stored(database: MongoDatabase) -> tuple[Any, Any, Any]:
    """Return the collections, the records without their times, and all books."""
    reply = await database.command({"listCollections": 1, "filter": {"name": {"$ne": MIGRATIONS_LOCK}}})
    found = {
        # `collMod` also writes the defaults.
        each["name"]: {**DEFAULTS, **each["options"]}
        for each in reply["cursor"]["firstBatch"]
    }
    for name in found.keys() & {"books", "shelves"}:
        found[name]["indexes"] = await database[name].index_information()
    records = await database["resource_migrations"].find({}, {"applied_at": 0}).sort("_id").to_list()
    return found, records, await documents(database)


async def run(
    settings: Settings, operations: Sequence[Operation], hook: Any, monkeypatch: pytest.MonkeyPatch
) -> dict[Any, dict[str, Any]]:
    """Apply operations to the books; call the function with the database before each write."""
    async with mongo_database(settings) as database:
        migrator = await prepare(
            settings, database, history_with([AddResource(Book.__resource__)], operations)
        )

        async def before_write(command: str) -> None:
            await hook(database, command)

        with before_writes(before_write, monkeypatch):
            await migrator.upgrade()
        assert await migrator.check() == []
        validator = (await database["books"].options())["validator"]
        assert await database["books"].count_documents({"$nor": [validator]}) == 0
        return await documents(database)


@pytest.mark.parametrize("name", CHANGES)
async def test_a_revision_stopped_before_any_write_is_finished_or_undone(
    mongo: Provision, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """Whatever the next run does, the collections and documents are those of an undisturbed run.

    A run up is stopped before each write in turn. If the next run finishes it, a run down is stopped too.
    """
    monkeypatch.setattr(fills, "BATCH", 2)
    history = history_with([AddResource(Book.__resource__)], CHANGES[name])
    async with mongo.empty_database() as settings, mongo_database(settings) as database:
        migrator = await prepare(settings, database, history)

        async def stop(number: int, change: Callable[[], Awaitable[object]]) -> bool:
            with before_writes(stop_before(number), monkeypatch):
                try:
                    await change()
                except StoppedError:
                    return True
            return False

        def downgrade() -> Awaitable[object]:
            return migrator.downgrade("shop:0001")

        start, records, _ = await stored(database)
        await migrator.upgrade()
        assert await migrator.check() == []
        after = await stored(database)
        await downgrade()
        before = await stored(database)
        assert before[:2] == (start, records)
        number = 0
        while await stop(number, migrator.upgrade):
            assert await migrator.applied() == {"shop": "0001"}
            assert (await migrator.check())[0].endswith("run `eitherdb migrate upgrade`")
            if number % 3 == 1:
                await migrator.upgrade()
                assert await stored(database) == after
                if await stop(number // 3, downgrade):
                    assert await migrator.applied() == {"shop": "0001" if number // 3 else "0002"}
                if number % 2:
                    await migrator.upgrade()
                    assert await stored(database) == after
            await downgrade()
            assert await stored(database) == before
            number += 1
        assert number > 8


async def test_an_operation_of_its_own_is_not_repeated_after_a_later_one(
    mongo: Provision, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The number of finished steps is recorded, so only the step that was stopped runs again."""
    again = [Run(sql=_no_sql, mongo=_count), *CHANGES["required"]]
    for number in range(3, 10, 2):
        async with mongo.empty_database() as settings, mongo_database(settings) as database:
            migrator = await prepare(
                settings, database, history_with([AddResource(Book.__resource__)], again)
            )
            with (
                before_writes(stop_before(number), monkeypatch),
                pytest.raises(StoppedError),
            ):
                await migrator.upgrade()
            await migrator.upgrade()
            assert {each["version"] for each in (await documents(database)).values()} == {2}
            with pytest.raises(MigrationError, match="can't be undone: an operation of its own"):
                await migrator.downgrade("shop:0001")


FILLS: dict[str, Sequence[Operation]] = {
    "add": [AddField("books", _fields["subtitle"], "Größe")],
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
