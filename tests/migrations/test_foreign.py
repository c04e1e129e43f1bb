"""Another application's database: refused before anything is changed, and left as it was."""

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
    """Return what the refusal of what has this name begins with."""
    first, *_ = words = name.partition(" that ")[0].split(" with ")[0].split()
    if first in HISTORIES:
        return f"{first} is the migration history of another application ("
    return f"the database has {' '.join(words)}, which EitherDB's migrations did not make: "


async def refuses(settings: Settings, provision: Provision, name: str) -> None:
    """See that both directions, the check and a server refuse with the same words, and change nothing."""
    migrator = open_migrator(settings)
    before = await everything(settings)
    told = set()
    for migration in (migrator.upgrade(), migrator.downgrade("base")):
        with pytest.raises(ForeignSchema) as caught:
            await migration
        told.add(str(caught.value))
    async with opened(provision.open(settings)) as backend:
        with pytest.raises(ForeignSchema) as caught:
            await backend.check_schema()
        told.add(str(caught.value))
    told |= set(await migrator.check())
    (text,) = told
    assert text.startswith(refusal(name)), text
    assert "another database in DATABASE_URL" in text
    assert ("search_path" in text) is (settings.db_backend == "postgres")
    assert await everything(settings) == before


@pytest.mark.parametrize("name", SQL)
async def test_foreign_tables_are_refused_and_left(name: str, sql: Provision) -> None:
    """Whatever stands under a name of ours, or is recorded as a history; SQLite's file to the byte."""
    async with sql.empty_database() as settings:
        await make(settings, name)
        await refuses(settings, sql, name)


@pytest.mark.parametrize(("backend", "names"), [("postgres", POSTGRES), ("sqlite", SQLITE)])
async def test_foreign_things_of_one_database_are_refused_and_left(
    backend: str, names: list[str], servers: Servers
) -> None:
    """Whatever else shares a name space with tables and indexes there."""
    provision = find_provision(backend, servers)
    await provision.start()
    for name in names:
        async with provision.empty_database() as settings:
            await make(settings, name)
            await refuses(settings, provision, name)
    await provision.stop()


@pytest.mark.parametrize("name", MONGO)
async def test_foreign_collections_are_refused_and_left(name: str, mongo: Provision) -> None:
    """Whatever stands under a name of ours; no lock is written either."""
    async with mongo.empty_database() as settings:
        await make(settings, name)
        await refuses(settings, mongo, name)


THEIR_ACCOUNTS = {"mongo": "collection accounts", "sqlite": "table accounts", "postgres": "table accounts"}


async def put(settings: Settings, name: str) -> None:
    """Make another application's table or collection with a row."""
    if settings.db_backend == "mongo":
        async with mongo_database(settings) as database:
            await database[name].insert_one({"_id": 1})
    else:
        await execute(settings, f"CREATE TABLE {name} AS SELECT 1 AS id")


async def is_left(settings: Settings, name: str) -> bool:
    """Tell whether the row that `put` made is there, alone."""
    if settings.db_backend == "mongo":
        async with mongo_database(settings) as database:
            return await database[name].find({}).to_list() == [{"_id": 1}]
    async with sql_connection(settings) as connection:
        return (await connection.exec_driver_sql(f"SELECT * FROM {name}")).all() == [(1,)]  # noqa: S608


async def drop(settings: Settings, name: str) -> None:
    """Drop a table or a collection of ours."""
    if settings.db_backend == "mongo":
        async with mongo_database(settings) as database:
            await database.drop_collection(name)
    else:
        await execute(settings, f"DROP TABLE {name}")


async def test_what_a_later_revision_would_meet_is_refused_at_once(migrated: Provision) -> None:
    """Theirs has a name that we do not use yet: no upgrade; a downgrade takes ours and leaves theirs."""
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


async def test_downgrade_leaves_what_took_the_place_of_ours(migrated: Provision) -> None:
    """A user dropped our table and made another of that name: nothing is undone until it is gone."""
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


async def test_what_has_other_names_is_left_alone(migrated: Provision) -> None:
    """Beside other applications' tables EitherDB comes and goes; names differ by case where they may."""
    async with migrated.empty_database() as settings:
        names = {"sqlite": ["theirs"], "postgres": ["theirs", '"Users"'], "mongo": ["theirs", "Users"]}
        theirs = names[settings.db_backend]
        for name in theirs:
            await put(settings, name)
        migrator = open_migrator(settings)
        every = every_number(settings)
        assert await migrator.upgrade() == every
        assert await migrator.check() == []
        async with opened(migrated.open(settings)) as backend:
            await backend.check_schema()
            await backend.users.add(NewUser(email="a@example.com", hashed_password="no hash"))
        assert await migrator.downgrade("base") == every[::-1]
        assert [await is_left(settings, name) for name in theirs] == [True] * len(theirs)


async def test_tables_without_a_history_are_refused(sql: Provision) -> None:
    """Ours by their looks, but nobody recorded them here: a revision would meet them half-way."""
    async with sql.empty_database() as settings:
        migrator = open_migrator(settings)
        await migrator.upgrade()
        await drop(settings, "alembic_version")
        with pytest.raises(ForeignSchema, match="table users"):
            await migrator.upgrade()
        with pytest.raises(ForeignSchema, match="table users"):
            await migrator.downgrade("base")


async def test_revisions_declare_the_tables_that_they_create(sql: Provision) -> None:
    """By `TABLES` the migrator knows what is a revision's; all together are the schema."""
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
async def test_downgrade_that_stopped_with_nothing_left_but_its_record_is_finished(
    mongo: Provision, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The record says that the step is being undone: a history of ours, without a collection of ours."""
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
