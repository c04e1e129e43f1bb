"""References on MongoDB hold under every interleaving, and when a process dies between any two commands."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Annotated, Any

import pytest
from bson import ObjectId
from pydantic import Field

from backends import open_backend
from backends.errors import BackendError, Conflict, NotFound, StillReferenced
from backends.models import NewUser
from backends.mongo import abandoned
from backends.mongo.driver import open_driver
from backends.mongo.resource_collections import collections_of
from backends.protocols import Backend
from config import Settings
from eitherdb import Reference, Resource
from migrations import open_migrator
from migrations.mongo.operations import ensure_collection_of
from tests.backends.raw import MongoDatabase, failing_commands, mongo_database, opened
from tests.conftest import ONE_BACKEND
from tests.provision import Provision

Name = Annotated[str, Field(max_length=20)]


class Shelf(Resource, path="shelves", owned=False):
    """A row that others refer to."""

    name: Name = "shelf"


class Folder(Resource, path="folders"):
    """A row with an owner that others refer to."""

    shelf_id: Annotated[str | None, Reference("shelves", on_delete="cascade")] = None
    parent_id: Annotated[str | None, Reference("folders", on_delete="cascade")] = None


class Paper(Resource, path="papers", owned=False):
    """A row that keeps its shelf, and goes with its folder."""

    shelf_id: Annotated[str | None, Reference("shelves", on_delete="restrict")] = None
    folder_id: Annotated[str | None, Reference("folders", on_delete="cascade")] = None
    reader_id: Annotated[str | None, Reference("users", on_delete="set_null")] = None


DECLARED: tuple[type[Resource], ...] = (Shelf, Folder, Paper)
SPECS = [cls.__resource__ for cls in DECLARED]
COMMANDS = ("insert", "update", "findAndModify", "delete", "find", "commitTransaction", "abortTransaction")
UNAUTHORIZED = 13
"""A code that neither the driver nor a repository retries."""


@pytest.fixture(scope="module")
async def settings(mongo: Provision) -> AsyncIterator[Settings]:
    """Return a database with the collections of the resources."""
    async with mongo.empty_database() as settings:
        await open_migrator(settings).upgrade()
        driver = open_driver(settings)
        for each in collections_of(SPECS):
            await ensure_collection_of(driver.database, each)
        await driver.close()
        yield settings


@pytest.fixture
async def backend(settings: Settings) -> AsyncIterator[Backend]:
    """Return a backend on the empty collections."""
    async with mongo_database(settings) as database:
        for name in ("users", *(spec.name for spec in SPECS)):
            await database[name].delete_many({})
    async with opened(open_backend(settings, resources=DECLARED)) as backend:
        yield backend


async def dangling(settings: Settings) -> list[str]:
    """Return the resource of each reference to a document that does not exist."""
    found = []
    async with mongo_database(settings) as database:
        for spec in SPECS:
            targets = [(field.column, field.target or "") for field in spec.references]
            for column, target in [*targets, *([("owner_id", "users")] if spec.owned else [])]:
                ids = await database[target].distinct("_id")
                where = {column: {"$nin": [None, *ids]}}
                found += [spec.name async for _ in database[spec.name].find(where)]
    return found


async def ids_of(backend: Backend, name: str) -> list[str]:
    """Return the ids of all rows of a resource, the oldest first."""
    return [row["id"] for row in (await backend.resources[name].list(sort="created_at")).rows]


async def test_deletion_is_refused_while_a_row_would_remain(backend: Backend) -> None:
    """A row that is deleted with the other one does not keep it. Nothing changes after a refusal."""
    shelf = await backend.resources["shelves"].add(Shelf())
    user = await backend.users.add(NewUser(email="a@example.com", hashed_password="x"))
    folder = await backend.resources["folders"].add(Folder(shelf_id=shelf.id), owner_id=user.id)
    kept = await backend.resources["papers"].add(Paper(shelf_id=shelf.id))
    both = await backend.resources["papers"].add(Paper(shelf_id=shelf.id, folder_id=folder.id))
    with pytest.raises(StillReferenced) as caught:
        await backend.resources["shelves"].delete(shelf.id)
    assert (caught.value.entity, caught.value.id, caught.value.by) == ("shelf", shelf.id, "paper")
    assert await ids_of(backend, "papers") == [kept.id, both.id]
    assert await ids_of(backend, "folders") == [folder.id]
    await backend.resources["papers"].delete(kept.id)
    await backend.resources["shelves"].delete(shelf.id)
    assert [await ids_of(backend, name) for name in ("shelves", "folders", "papers")] == [[], [], []]


async def test_deletion_of_a_user_follows_every_reference(backend: Backend, settings: Settings) -> None:
    """The user's folders, the folders in these and their papers go; a reader is set to null."""
    users = [
        await backend.users.add(NewUser(email=f"{n}@example.com", hashed_password="x")) for n in (1, 2)
    ]
    folders, papers = backend.resources["folders"], backend.resources["papers"]
    top = await folders.add(Folder(), owner_id=users[0].id)
    inner = await folders.add(Folder(parent_id=top.id), owner_id=users[1].id)
    await folders.update(top.id, {"parent_id": inner.id})  # a cycle
    await papers.add(Paper(folder_id=inner.id))
    read = await papers.add(Paper(reader_id=users[0].id))
    await backend.users.delete(users[0].id)
    assert await ids_of(backend, "folders") == []
    assert await ids_of(backend, "papers") == [read.id]
    changed = await papers.get(read.id)
    assert (changed.reader_id, changed.version) == (None, 2)
    assert await dangling(settings) == []


@pytest.mark.parametrize("id_", ["0" * 24, "nothing"])
async def test_reference_to_nothing_is_refused(backend: Backend, id_: str) -> None:
    """By an addition, an addition of many and a change; nothing is stored."""
    papers, folders = backend.resources["papers"], backend.resources["folders"]
    user = await backend.users.add(NewUser(email="a@example.com", hashed_password="x"))
    paper = await papers.add(Paper())
    for call in (
        papers.add(Paper(shelf_id=id_)),
        papers.add_many([Paper(), Paper(shelf_id=id_)]),
        papers.update(paper.id, {"shelf_id": id_}),
        folders.add(Folder(shelf_id=id_), owner_id=user.id),
    ):
        with pytest.raises(NotFound) as caught:
            await call
        assert (caught.value.entity, caught.value.id) == ("shelf", id_)
    with pytest.raises(NotFound) as caught:
        await folders.add(Folder(shelf_id=id_), owner_id=id_)
    assert (caught.value.entity, caught.value.id) == ("user", id_)
    assert await papers.get(paper.id) == paper
    assert (await ids_of(backend, "papers"), await ids_of(backend, "folders")) == ([paper.id], [])


async def test_concurrent_additions_and_deletions_leave_no_reference_to_nothing(
    backend: Backend, settings: Settings
) -> None:
    """Each addition succeeds, or its parent is gone; a parent that is in use stays."""
    async with opened(open_backend(settings, resources=DECLARED)) as other:
        for _ in range(5):
            shelf = await backend.resources["shelves"].add(Shelf())
            papers = [each.resources["papers"] for each in (backend, other) for _ in range(10)]
            moved = await backend.resources["papers"].add(Paper())
            results = await asyncio.gather(
                *(repository.add(Paper(shelf_id=shelf.id)) for repository in papers),
                *(each.resources["shelves"].delete(shelf.id) for each in (backend, other)),
                papers[0].update(moved.id, {"shelf_id": shelf.id}),
                return_exceptions=True,
            )
            assert {type(each) for each in results} <= {
                Paper,
                type(None),
                NotFound,
                StillReferenced,
                Conflict,
            }
            assert await dangling(settings) == []
            is_deleted = None in results
            assert not (is_deleted and any(isinstance(each, Paper) for each in results)), results


@pytest.mark.parametrize("call", ["add", "add many", "change"])
async def test_reference_waits_for_a_deletion_that_has_begun(
    backend: Backend, settings: Settings, call: str
) -> None:
    """The deletion has found no reference and is not committed. The reference is refused after it."""
    ids = await rows_for_stops(backend)
    async with mongo_database(settings) as database, database.client.start_session() as session:
        await session.start_transaction()
        await database["shelves"].delete_one({"_id": ObjectId(ids["shelf"])}, session=session)
        where, empty = {"shelf_id": ObjectId(ids["shelf"])}, {"$set": {"shelf_id": None}}
        await database["folders"].update_many(where, empty, session=session)
        addition = asyncio.ensure_future(OPERATIONS[call](backend, ids | {"folder": ids["other"]}))
        await asyncio.wait([addition], timeout=0.1)
        assert not addition.done() or isinstance(addition.exception(), Conflict)
        await session.commit_transaction()
        with pytest.raises((NotFound, Conflict)):
            await addition
    assert await dangling(settings) == []


async def test_deletion_waits_for_a_reference_that_is_being_added(
    backend: Backend, settings: Settings
) -> None:
    """The reference is inserted and not committed. The deletion is refused after it."""
    shelf = await backend.resources["shelves"].add(Shelf())
    async with mongo_database(settings) as database, database.client.start_session() as session:
        await session.start_transaction()
        paper = await backend.resources["papers"].add(Paper())
        where, in_shelf = {"_id": ObjectId(paper.id)}, {"$set": {"shelf_id": ObjectId(shelf.id)}}
        await database["shelves"].update_one(
            {"_id": ObjectId(shelf.id)}, {"$inc": {"references": 1}}, session=session
        )
        await database["papers"].update_one(where, in_shelf, session=session)
        deletion = asyncio.create_task(backend.resources["shelves"].delete(shelf.id))
        await asyncio.wait([deletion], timeout=0.1)
        assert not deletion.done() or isinstance(deletion.exception(), Conflict)
        await session.commit_transaction()
        with pytest.raises((StillReferenced, Conflict)):
            await deletion
    assert await dangling(settings) == []


Operation = Callable[[Backend, dict[str, str]], Awaitable[object]]
OPERATIONS: dict[str, Operation] = {
    "add": lambda b, ids: b.resources["papers"].add(Paper(shelf_id=ids["shelf"], folder_id=ids["folder"])),
    "add many": lambda b, ids: b.resources["papers"].add_many([Paper(shelf_id=ids["shelf"])] * 2),
    "change": lambda b, ids: b.resources["papers"].update(ids["paper"], {"shelf_id": ids["shelf"]}),
    "delete": lambda b, ids: b.resources["shelves"].delete(ids["shelf"]),
    "delete a user": lambda b, ids: b.users.delete(ids["user"]),
}


async def until_no_conflict(operation: Operation, backend: Backend, ids: dict[str, str]) -> None:
    """Call an operation until the outcome is another than Conflict."""
    while True:
        try:
            await operation(backend, ids)
        except Conflict:
            continue
        except (NotFound, StillReferenced):
            pass
        return


async def rows_for_stops(backend: Backend) -> dict[str, str]:
    """Store a shelf with a folder that has a paper, and a folder and a paper on their own."""
    user = await backend.users.add(NewUser(email=f"{ObjectId()}@example.com", hashed_password="x"))
    shelf = await backend.resources["shelves"].add(Shelf())
    folder = await backend.resources["folders"].add(Folder(shelf_id=shelf.id), owner_id=user.id)
    paper = await backend.resources["papers"].add(Paper(reader_id=user.id))
    await backend.resources["papers"].add(Paper(folder_id=folder.id))
    other = await backend.resources["folders"].add(Folder(), owner_id=user.id)
    return {
        "user": user.id,
        "shelf": shelf.id,
        "folder": folder.id,
        "other": other.id,
        "paper": paper.id,
    }


async def snapshot(database: MongoDatabase) -> dict[str, list[dict[str, Any]]]:
    """Return all documents."""
    return {
        name: await database[name].find().to_list() for name in ("users", "shelves", "folders", "papers")
    }


@ONE_BACKEND
@pytest.mark.parametrize("operation", OPERATIONS)
async def test_process_that_dies_between_commands_leaves_all_or_nothing(
    backend: Backend, settings: Settings, monkeypatch: pytest.MonkeyPatch, operation: str
) -> None:
    """No command reaches the server after the first k, not even the rollback. Others go on afterwards."""
    monkeypatch.setattr(abandoned, "IDLE_SECONDS", 0.01)
    monkeypatch.setattr(abandoned, "CHECK_INTERVAL_SECONDS", 0.01)
    has_succeeded, sent = False, 0
    async with mongo_database(settings) as database:
        while not has_succeeded:
            ids = await rows_for_stops(backend)
            before = await snapshot(database)
            async with (
                opened(open_backend(settings, resources=DECLARED)) as doomed,
                failing_commands(database, *COMMANDS, skip=sent, errorCode=UNAUTHORIZED),
            ):
                try:
                    await OPERATIONS[operation](doomed, ids)
                    has_succeeded = True
                except BackendError:
                    assert await snapshot(database) == before
            assert await dangling(settings) == []
            # A conflict with the transaction that the dead process left open ends it.
            async with asyncio.timeout(20):
                for other in ("add", "change", "delete", "delete a user"):
                    await until_no_conflict(OPERATIONS[other], backend, ids)
                    assert await dangling(settings) == []
            sent += 1
    assert sent > 3, "the operation is one transaction of several commands"
