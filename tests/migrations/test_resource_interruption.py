"""Interrupted revisions of declared resources: SQL rolls back, MongoDB resumes in the next run."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Annotated, Any, cast

import pytest
from sqlalchemy import Engine, event, inspect

from backends.errors import ForeignSchema
from backends.mongo.driver import Database, Driver, open_driver
from backends.mongo.schema import MIGRATIONS_LOCK
from config import Settings
from eitherdb import Reference, Resource
from migrations import Migrator, open_migrator
from migrations.mongo import migrator as mongo_migrator
from migrations.resources.history import history_of
from tests.backends.raw import mongo_database, sql_connection
from tests.migrations.numbers import every_number
from tests.migrations.test_resources import CYCLE, EVERY_KIND, Leaf, Node, check_schema
from tests.provision import Provision


class Note(Resource, path="notes", owned=False):
    """Refers to an item, whose collection changes with it."""

    item_id: Annotated[str | None, Reference("items", on_delete="set_null")] = None


NOTES = history_of("notes", [Note.__resource__])


class _StoppedError(Exception):
    """The process stopped before a step."""


class _Stop:
    """Stops before the step with this number; counts the steps."""

    def __init__(self, before: int) -> None:
        self.before = before
        self.steps = 0

    def __call__(self) -> None:
        if self.steps == self.before:
            raise _StoppedError
        self.steps += 1


# -- SQL -----------------------------------------------------------------------------------------


@contextmanager
def stopped_before(step: int) -> Iterator[None]:
    """Stop before a statement that changes something, other than the lock."""
    stop = _Stop(step)

    def on_statement(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        if statement.lstrip().startswith(("CREATE ", "ALTER ", "DROP ", "INSERT ", "DELETE ", "UPDATE ")):
            stop()

    event.listen(Engine, "before_cursor_execute", on_statement)
    try:
        yield
    finally:
        event.remove(Engine, "before_cursor_execute", on_statement)


async def tables(settings: Settings) -> set[str]:
    """Return the names of all tables."""
    async with sql_connection(settings) as connection:
        return set(await connection.run_sync(lambda sync: inspect(sync).get_table_names()))


async def test_revision_is_applied_and_reverted_whole_or_not_at_all(sql: Provision) -> None:
    """Stopped before each statement in turn, the database stays as it was, and the next run succeeds."""
    async with sql.empty_database() as settings:
        migrator = open_migrator(settings, [NOTES])
        await migrator.upgrade(every_number(settings)[-1])
        before = await tables(settings)
        whole = before | {"notes", "resource_migrations"}
        for change, start, end in ((migrator.upgrade, before, whole), (_back(migrator), whole, before)):
            steps, is_done = 0, False
            while not is_done:
                with stopped_before(steps):
                    try:
                        is_done = await change() == ["notes:0001"]
                    except _StoppedError:
                        assert await tables(settings) == start
                steps += 1
            assert steps > 3
            assert await tables(settings) == end


def _back(migrator: Migrator) -> Callable[[], Awaitable[list[str]]]:
    return lambda: migrator.downgrade("notes:base")


# -- MongoDB -------------------------------------------------------------------------------------


class _Collection:
    """A collection that stops before a write."""

    def __init__(self, collection: Any, stop: _Stop) -> None:
        self._collection = collection
        self._stop = stop

    def __getattr__(self, name: str) -> Any:
        if name in {"create_index", "drop_index", "update_one", "delete_one"}:
            self._stop()
        return getattr(self._collection, name)


class _Database:
    """A database that stops before a write, other than that of the lock."""

    def __init__(self, database: Any, stop: _Stop) -> None:
        self._database = database
        self._stop = stop

    def __getitem__(self, name: str) -> Any:
        found = self._database[name]
        return found if name == MIGRATIONS_LOCK else _Collection(found, self._stop)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._database, name)

    async def command(self, command: Any, *arguments: Any, **options: Any) -> Any:
        if "collMod" in command:
            self._stop()
        return await self._database.command(command, *arguments, **options)

    async def create_collection(self, *arguments: Any, **options: Any) -> Any:
        self._stop()
        return await self._database.create_collection(*arguments, **options)

    async def drop_collection(self, *arguments: Any, **options: Any) -> Any:
        self._stop()
        return await self._database.drop_collection(*arguments, **options)


@contextmanager
def interrupted_before(step: int, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Stop the migrator before a write."""
    stop = _Stop(step)

    def opened(*arguments: Any, **options: Any) -> Driver:
        driver = open_driver(*arguments, **options)
        driver.database = cast("Database", _Database(driver.database, stop))
        return driver

    with monkeypatch.context() as patch:
        patch.setattr(mongo_migrator, "open_driver", opened)
        yield


DEFAULTS = {"validationLevel": "strict", "validationAction": "error"}
"""The options of a collection that `collMod` also writes."""


async def collections(settings: Settings) -> dict[str, Any]:
    """Return the options and indexes of all collections, and the records but for their times."""
    async with mongo_database(settings) as database:
        names = sorted(await database.list_collection_names())
        found: dict[str, Any] = {
            name: (
                # `collMod` also writes the defaults.
                {
                    "validationLevel": "strict",
                    "validationAction": "error",
                    **await database[name].options(),
                },
                {key: index["key"] for key, index in (await database[name].index_information()).items()},
            )
            for name in names
            if name != MIGRATIONS_LOCK
        }
        records = await database["resource_migrations"].find({}).sort("_id").to_list()
    return {**found, "records": [{**each, "applied_at": None} for each in records]}


async def test_revision_that_was_interrupted_anywhere_is_finished_by_the_next_run(
    mongo: Provision, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Stopped before each write in turn, it is not recorded as applied; both ways then lead out."""
    async with mongo.empty_database() as settings:
        migrator = open_migrator(settings, [NOTES])
        await migrator.upgrade(every_number(settings)[-1])
        before = await collections(settings)
        await migrator.upgrade()
        whole = await collections(settings)
        await migrator.downgrade("notes:base")
        assert await collections(settings) == before
        steps, stopped = 0, True
        while stopped:
            stopped = False
            with interrupted_before(steps, monkeypatch):
                try:
                    await migrator.upgrade()
                except _StoppedError:
                    stopped = True
                    assert await migrator.applied() == {}
                    assert (await migrator.check())[0].endswith("run `eitherdb migrate upgrade`")
            if steps % 2:
                await migrator.upgrade()
                assert await collections(settings) == whole
            await migrator.downgrade("notes:base")
            assert await collections(settings) == before
            steps += 1
        assert steps > 7


async def test_downgrade_that_was_interrupted_anywhere_is_finished_by_the_next_run(
    mongo: Provision, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Stopped before each write in turn, the revision is not applied any more; both ways then lead out."""
    async with mongo.empty_database() as settings:
        migrator = open_migrator(settings, [NOTES])
        await migrator.upgrade(every_number(settings)[-1])
        before = await collections(settings)
        await migrator.upgrade()
        whole = await collections(settings)
        steps, stopped = 0, True
        while stopped:
            stopped = False
            with interrupted_before(steps, monkeypatch):
                try:
                    await migrator.downgrade("notes:base")
                except _StoppedError:
                    stopped = True
                    assert await migrator.applied() == ({} if steps else {"notes": "0001"})
            if steps % 2:
                await migrator.downgrade("notes:base")
                assert await collections(settings) == before
            await migrator.upgrade()
            assert await collections(settings) == whole
            steps += 1
        assert steps > 4


async def test_downgrade_spares_a_collection_that_replaced_a_declared_one(mongo: Provision) -> None:
    """Another application's collection is refused by name, and nothing is dropped."""
    async with mongo.empty_database() as settings, mongo_database(settings) as database:
        migrator = open_migrator(settings, [CYCLE])
        await migrator.upgrade()
        await database.drop_collection("leaves")
        await database["leaves"].insert_one({"of": "another application"})
        for target in ("trees:base", "base"):
            with pytest.raises(ForeignSchema, match="leaves"):
                await migrator.downgrade(target)
        with pytest.raises(ForeignSchema, match="leaves"):
            await check_schema(settings, Leaf, Node)
        assert await database["leaves"].count_documents({}) == 1
        assert "nodes" in await database.list_collection_names()


# -- all -----------------------------------------------------------------------------------------


async def test_one_of_two_migrators_applies_the_revisions(migrated: Provision) -> None:
    """The other waits for the lock and finds nothing to do."""
    async with migrated.empty_database() as settings:
        both = [open_migrator(settings, [EVERY_KIND, CYCLE]) for _ in range(2)]
        applied = await asyncio.gather(*(migrator.upgrade() for migrator in both))
        assert sorted(applied, key=len) == [[], [*every_number(settings), "library:0001", "trees:0001"]]
        assert await both[0].check() == []
        reverted = await asyncio.gather(*(migrator.downgrade("library:base") for migrator in both))
        assert sorted(reverted, key=len) == [[], ["library:0001"]]
        assert await both[0].applied() == {"trees": "0001"}
