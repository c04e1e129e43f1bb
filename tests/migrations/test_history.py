"""`upgrade` and `downgrade`: the revisions that they apply and the resulting schema."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from sqlalchemy import inspect, text

from backends.errors import RevisionMismatch
from config import Settings
from migrations import MigrationError, open_migrator
from tests.backends.raw import mongo_database, opened, sql_connection
from tests.cli.command import eitherdb
from tests.migrations.numbers import every_number
from tests.provision import Provision

OURS = {"users", "items", "deleted_users", "counters"}


async def tables(settings: Settings) -> set[str]:
    """Return the names of EitherDB's existing tables or collections."""
    if settings.db_backend == "mongo":
        async with mongo_database(settings) as database:
            return OURS & set(await database.list_collection_names())
    async with sql_connection(settings) as connection:
        return OURS & set(await connection.run_sync(lambda sync: inspect(sync).get_table_names()))


async def record_revision(settings: Settings, revision: str) -> None:
    """Record a revision as applied, as a newer EitherDB does."""
    if settings.db_backend == "mongo":
        async with mongo_database(settings) as database:
            await database.schema_migrations.insert_one({"_id": revision, "name": "from the future"})
    else:
        async with sql_connection(settings) as connection:
            statement = text("UPDATE alembic_version SET version_num = :revision")
            await connection.execute(statement, {"revision": revision})


async def test_upgrade_of_an_empty_database_applies_all_once(migrated: Provision) -> None:
    """The first upgrade returns all revisions in order, the second none."""
    async with migrated.empty_database() as settings:
        migrator = open_migrator(settings)
        every = every_number(settings)
        assert await migrator.current() is None
        assert await migrator.upgrade() == every
        assert await migrator.current() == every[-1]
        assert await migrator.upgrade() == []
        assert await migrator.upgrade(every[0]) == []
        assert await migrator.check() == []


async def test_shared_database_has_no_drift(migrated: Provision) -> None:
    """The migrated schema of the shared test database equals the declared schema."""
    assert await open_migrator(migrated.settings).check() == []


async def test_downgrade_to_base_removes_all_and_upgrade_restores_it(migrated: Provision) -> None:
    """All tables and indexes are dropped and recreated; a second downgrade does nothing."""
    async with migrated.empty_database() as settings:
        migrator = open_migrator(settings)
        every = await migrator.upgrade()
        assert len(await tables(settings)) >= 2
        assert await migrator.downgrade("base") == every[::-1]
        assert await migrator.current() is None
        assert await tables(settings) == set()
        assert await migrator.downgrade("base") == []
        assert await migrator.upgrade() == every
        assert await migrator.check() == []


async def test_upgrade_to_base_applies_nothing(migrated: Provision) -> None:
    """`upgrade` to `base` does nothing, on an empty database and at the newest revision."""
    async with migrated.empty_database() as settings:
        migrator = open_migrator(settings)
        assert await migrator.upgrade("base") == []
        assert await migrator.current() is None
        assert await tables(settings) == set()
        every = await migrator.upgrade()
        assert await migrator.upgrade("base") == []
        assert await migrator.current() == every[-1]


async def test_downgrade_to_what_is_applied_undoes_nothing(migrated: Provision) -> None:
    """`downgrade` to `head` or to the applied number does nothing."""
    async with migrated.empty_database() as settings:
        migrator = open_migrator(settings)
        newest = (await migrator.upgrade())[-1]
        assert await migrator.downgrade("head") == []
        assert await migrator.downgrade(newest) == []
        assert await migrator.current() == newest
        assert await migrator.check() == []


async def test_downgrade_by_one_goes_back_one(migrated: Provision) -> None:
    """`-1` reverts the newest revision."""
    async with migrated.empty_database() as settings:
        migrator = open_migrator(settings)
        every = await migrator.upgrade()
        assert await migrator.downgrade("-1") == every[-1:]
        assert await migrator.current() == (every[-2] if every[1:] else None)


async def test_migration_to_an_unknown_revision_changes_nothing(migrated: Provision) -> None:
    """The error lists the valid targets, in both directions, on an empty and on a migrated database."""
    async with migrated.empty_database() as settings:
        migrator = open_migrator(settings)
        valid = "give one of: base, 0001, .*head, -1$"
        for migrate in (migrator.upgrade, migrator.downgrade):
            with pytest.raises(MigrationError, match=valid):
                await migrate("9999")
            with pytest.raises(MigrationError, match=valid):
                await migrate("-1")
        assert await migrator.current() is None
        assert await tables(settings) == set()
        newest = (await migrator.upgrade())[-1]
        with pytest.raises(MigrationError, match=valid):
            await migrator.downgrade("-99")
        assert await migrator.current() == newest


async def test_check_before_upgrade_names_the_command(migrated: Provision) -> None:
    """`check` returns one sentence, not every missing table; the backend raises the same error."""
    async with migrated.empty_database() as settings:
        (sentence,) = await open_migrator(settings).check()
        assert "eitherdb migrate upgrade" in sentence
        async with opened(migrated.open(settings)) as backend:
            with pytest.raises(RevisionMismatch) as caught:
                await backend.check_schema()
        newest = open_migrator(settings).history()[-1].number
        assert (caught.value.applied, caught.value.expected) == (None, newest)
        assert "eitherdb migrate upgrade" in str(caught.value)


async def test_newer_database_is_refused_and_left_alone(migrated: Provision) -> None:
    """A database with an unknown revision is neither served nor migrated; the error names the remedy."""
    async with migrated.empty_database() as settings:
        migrator = open_migrator(settings)
        newest = (await migrator.upgrade())[-1]
        await record_revision(settings, "9999")

        async with opened(migrated.open(settings)) as backend:
            with pytest.raises(RevisionMismatch) as caught:
                await backend.check_schema()
        assert (caught.value.applied, caught.value.expected) == ("9999", newest)
        assert f"eitherdb migrate downgrade {newest}" in str(caught.value)

        for migration in (migrator.upgrade(), migrator.downgrade("base"), migrator.downgrade(newest)):
            with pytest.raises(RevisionMismatch) as caught:
                await migration
            assert (caught.value.applied, caught.value.expected) == ("9999", newest)
        (sentence,) = await migrator.check()
        assert "newer" in sentence
        assert await migrator.current() == "9999"
        assert len(await tables(settings)) >= 2


async def test_upgrades_at_once_apply_once(migrated: Provision) -> None:
    """Of six concurrent upgrades, one applies the revisions, five do nothing, none fails."""
    async with migrated.empty_database() as settings:
        applied = await asyncio.gather(*(open_migrator(settings).upgrade() for _ in range(6)))
        every = every_number(settings)
        assert sorted(applied) == [[], [], [], [], [], every]
        assert await open_migrator(settings).check() == []


async def test_upgrades_of_two_processes_at_once_apply_once(migrated: Provision, tmp_path: Path) -> None:
    """The lock also serialises upgrades of different processes."""
    async with migrated.empty_database() as settings:
        results = await asyncio.gather(
            *(eitherdb(tmp_path, "migrate", "upgrade", settings=settings) for _ in range(2))
        )
        assert [result.exit_code for result in results] == [0, 0]
        # On a busy machine, a process may wait for longer than a second and log it.
        said = [line for result in results for line in result.err.splitlines()]
        assert all(line.startswith("waiting up to 600 seconds for the migration lock: ") for line in said)
        assert sorted(result.out for result in results) == [
            "".join(f"{number} applied\n" for number in every_number(settings)),
            "Nothing to do.\n",
        ]
        assert await open_migrator(settings).check() == []


async def test_downgrades_at_once_undo_once(migrated: Provision) -> None:
    """Of three concurrent downgrades, one reverts the revisions, two do nothing."""
    async with migrated.empty_database() as settings:
        every = await open_migrator(settings).upgrade()
        undone = await asyncio.gather(*(open_migrator(settings).downgrade("base") for _ in range(3)))
        assert sorted(undone) == [[], [], every[::-1]]
        assert await tables(settings) == set()
