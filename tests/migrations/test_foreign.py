"""Another application's database is rejected before any write and stays unchanged."""

from __future__ import annotations

from typing import Any

import pytest

from backends.errors import ForeignSchema
from backends.models import NewUser
from backends.sql.schema import METADATA
from config import Settings
from migrations import open_migrator
from migrations.mongo.steps import m0001_users_and_items as first_step
from migrations.sql.migrator import SqlMigrator
from tests.backends.raw import mongo_database, opened, sql_connection
from tests.conftest import EVERY_BACKEND, find_provision
from tests.migrations.foreign import MONGO, POSTGRES, SQL, SQLITE, everything, execute, make
from tests.migrations.numbers import every_number
from tests.provision import Provision, Servers

HISTORIES = ("alembic_version", "schema_migrations")


def refusal(name: str) -> str:
    """Return the beginning of the error message for this case."""
    first, *_ = words = name.partition(" that ")[0].split(" with ")[0].split()
    if first in HISTORIES:
        return f"{first} is the migration history of another application ("
    return f"the database has {' '.join(words)}, which EitherDB's migrations did not make: "


async def assert_refused(settings: Settings, provision: Provision, name: str) -> None:
    """Assert that upgrade, downgrade, check and start-up fail with the same message and change nothing."""
    migrator = open_migrator(settings)
    before = await everything(settings)
    messages = set()
    for migration in (migrator.upgrade(), migrator.downgrade("base")):
        with pytest.raises(ForeignSchema) as caught:
            await migration
        messages.add(str(caught.value))
    async with opened(provision.open(settings)) as backend:
        with pytest.raises(ForeignSchema) as caught:
            await backend.check_schema()
        messages.add(str(caught.value))
    messages |= set(await migrator.check())
    (text,) = messages
    assert text.startswith(refusal(name)), text
    assert "another database in DATABASE_URL" in text
    assert ("search_path" in text) is (settings.db_backend == "postgres")
    assert await everything(settings) == before


@pytest.mark.parametrize("name", SQL)
async def test_foreign_tables_are_refused_and_left(name: str, sql: Provision) -> None:
    """Tables, views, indexes and histories of other applications are rejected and stay unchanged."""
    async with sql.empty_database() as settings:
        await make(settings, name)
        await assert_refused(settings, sql, name)


@pytest.mark.parametrize(("backend", "names"), [("postgres", POSTGRES), ("sqlite", SQLITE)])
async def test_foreign_objects_of_one_backend_are_refused_and_left(
    backend: str, names: list[str], servers: Servers
) -> None:
    """Other objects in the name space of tables and indexes are rejected and stay unchanged."""
    provision = find_provision(backend, servers)
    await provision.start()
    for name in names:
        async with provision.empty_database() as settings:
            await make(settings, name)
            await assert_refused(settings, provision, name)
    await provision.stop()


@pytest.mark.parametrize("name", MONGO)
async def test_foreign_collections_are_refused_and_left(name: str, mongo: Provision) -> None:
    """Collections and views of other applications are rejected; no lock is written."""
    async with mongo.empty_database() as settings:
        await make(settings, name)
        await assert_refused(settings, mongo, name)


THEIR_ACCOUNTS = {"mongo": "collection accounts", "sqlite": "table accounts", "postgres": "table accounts"}


async def put(settings: Settings, name: str) -> None:
    """Create another application's table or collection with one row."""
    if settings.db_backend == "mongo":
        async with mongo_database(settings) as database:
            await database[name].insert_one({"_id": 1})
    else:
        await execute(settings, f"CREATE TABLE {name} AS SELECT 1 AS id")


async def is_left(settings: Settings, name: str) -> bool:
    """Return whether the table or collection has exactly the row of `put`."""
    if settings.db_backend == "mongo":
        async with mongo_database(settings) as database:
            return await database[name].find({}).to_list() == [{"_id": 1}]
    async with sql_connection(settings) as connection:
        return (await connection.exec_driver_sql(f"SELECT * FROM {name}")).all() == [(1,)]  # noqa: S608


async def drop(settings: Settings, name: str) -> None:
    """Drop one of EitherDB's tables or collections."""
    if settings.db_backend == "mongo":
        async with mongo_database(settings) as database:
            await database.drop_collection(name)
    else:
        await execute(settings, f"DROP TABLE {name}")


async def test_foreign_name_of_a_later_revision_is_refused_at_once(migrated: Provision) -> None:
    """An upgrade fails before its first revision; a downgrade drops only EitherDB's tables."""
    async with migrated.empty_database() as settings:
        migrator = open_migrator(settings)
        await migrator.upgrade("0002")
        await put(settings, "accounts")
        before = await everything(settings)
        with pytest.raises(ForeignSchema, match=THEIR_ACCOUNTS[settings.db_backend]):
            await migrator.upgrade()
        (sentence,) = await migrator.check()
        assert THEIR_ACCOUNTS[settings.db_backend] in sentence
        assert await migrator.current() == "0002"
        assert await everything(settings) == before
        assert await migrator.downgrade("base") == ["0002", "0001"]
        assert await is_left(settings, "accounts")


async def test_downgrade_refuses_a_replaced_table(migrated: Provision) -> None:
    """A table that another application recreated blocks upgrades and downgrades."""
    async with migrated.empty_database() as settings:
        migrator = open_migrator(settings)
        newest = (await migrator.upgrade())[-1]
        await drop(settings, "items")
        await put(settings, "items")
        before = await everything(settings)
        for call in (migrator.downgrade("base"), migrator.downgrade("-1"), migrator.upgrade()):
            with pytest.raises(ForeignSchema, match="items"):
                await call
        assert await migrator.current() == newest
        assert await everything(settings) == before


async def test_tables_with_other_names_are_left_alone(migrated: Provision) -> None:
    """Upgrades and downgrades keep other applications' tables, also with names that differ in case."""
    async with migrated.empty_database() as settings:
        names = {
            "sqlite": ["other_app"],
            "postgres": ["other_app", '"Users"'],
            "mongo": ["other_app", "Users"],
        }
        foreign_names = names[settings.db_backend]
        for name in foreign_names:
            await put(settings, name)
        migrator = open_migrator(settings)
        every = every_number(settings)
        assert await migrator.upgrade() == every
        assert await migrator.check() == []
        async with opened(migrated.open(settings)) as backend:
            await backend.check_schema()
            await backend.users.add(NewUser(email="a@example.com", hashed_password="no hash"))
        assert await migrator.downgrade("base") == every[::-1]
        assert [await is_left(settings, name) for name in foreign_names] == [True] * len(foreign_names)


async def test_tables_without_a_history_are_refused(sql: Provision) -> None:
    """EitherDB's tables without recorded revisions are rejected in both directions."""
    async with sql.empty_database() as settings:
        migrator = open_migrator(settings)
        await migrator.upgrade()
        await drop(settings, "alembic_version")
        with pytest.raises(ForeignSchema, match="table users"):
            await migrator.upgrade()
        with pytest.raises(ForeignSchema, match="table users"):
            await migrator.downgrade("base")


async def test_revisions_declare_the_tables_that_they_create(sql: Provision) -> None:
    """`TABLES` of each revision lists exactly the tables that it creates."""
    async with sql.empty_database() as settings:
        migrator = SqlMigrator(settings)
        before: set[str] = set()
        for number in every_number(settings):
            await migrator.upgrade(number)
            async with sql_connection(settings) as connection:
                query = (
                    "SELECT name FROM sqlite_master WHERE type = 'table'"
                    if settings.db_backend == "sqlite"
                    else "SELECT tablename FROM pg_tables WHERE schemaname = 'public'"
                )
                found = {name for (name,) in await connection.exec_driver_sql(query)} - {"alembic_version"}
            assert migrator._tables(number) == found
            assert found >= before
            before = found
        assert before == set(METADATA.tables)


@EVERY_BACKEND
async def test_downgrade_interrupted_after_the_last_collection_is_finished_by_the_next_run(
    mongo: Provision, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The mark in the record identifies EitherDB's history after all collections are dropped."""
    dropped: list[str] = []

    async def interrupted(database: Any, name: str) -> None:
        await database.drop_collection(name)
        dropped.append(name)
        if len(dropped) == len(first_step.FIELDS):
            raise RuntimeError("on the way")

    async with mongo.empty_database() as settings:
        migrator = open_migrator(settings)
        await migrator.upgrade()
        with monkeypatch.context() as patch:
            patch.setattr(first_step, "drop_collection", interrupted)
            with pytest.raises(RuntimeError, match="on the way"):
                await migrator.downgrade("base")
        assert await migrator.current() == "0001"
        assert await migrator.downgrade("base") == ["0001"]
        assert await migrator.current() is None
