"""A collection of books and its changes, for the tests of revisions on MongoDB."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Annotated, Any, Literal

import pytest
from bson import Int64, ObjectId
from pydantic import Field

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
    MakeOptional,
    MakeRequired,
    RemoveChoice,
    RemoveMarkers,
    RenameField,
)
from migrations import Migrator, open_migrator
from migrations.resources.history import History
from migrations.resources.operations import Operation
from tests.backends.raw import MongoDatabase, mongo_database
from tests.migrations.mongo_writes import before_writes
from tests.migrations.shop import first, history_with
from tests.migrations.test_resource_interruption import DEFAULTS

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

FIELDS = Added.__resource__.by_name


async def count_change(database: Any) -> None:
    """Give each book another version: the body of an operation of its own."""
    await database["books"].update_many({}, {"$inc": {"version": 1}})


def no_sql(_: Any) -> None:
    """Fail: no test of MongoDB runs it."""
    raise AssertionError


CHANGES: dict[str, Sequence[Operation]] = {
    "reference": [AddResource(Shelf.__resource__), AddField("books", FIELDS["shelf_id"])],
    "added and renamed": [
        AddField("books", FIELDS["subtitle"], "Größe"),
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
