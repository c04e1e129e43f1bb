"""Interrupted migrations: SQL rolls back, MongoDB resumes in the next run."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import inspect

from backends.errors import BackendError, SchemaMismatch
from backends.models import NewItem, NewUser
from config import Settings
from migrations import open_migrator
from migrations.mongo import operations
from migrations.mongo.steps import m0001_users_and_items as first_step
from migrations.sql.migrator import SqlMigrator
from tests.backends.raw import failing_commands, mongo_database, opened, sql_connection
from tests.cli.command import ROOT, TIMEOUT_SECONDS, environment
from tests.conftest import EVERY_BACKEND
from tests.migrations.numbers import every_number, next_number
from tests.provision import Provision, make_settings

pytestmark = EVERY_BACKEND

NEWEST = every_number(make_settings())[-1]
NEXT = next_number(make_settings())

REVISION = '''"""a revision of a test."""

import os
import signal

import sqlalchemy as sa
from alembic import op

revision = "{number}"
down_revision = "{newest}"


def upgrade() -> None:
    {upgrade}


def downgrade() -> None:
    {downgrade}
'''
MAKE_A_TABLE = 'op.create_table("half_done", sa.Column("id", sa.Integer()))'
RAISE = 'raise RuntimeError("on the way")'
KILL = "os.kill(os.getpid(), signal.SIGKILL)"

UPGRADE = """
import asyncio, sys
from pathlib import Path
from config import Settings
from tests.migrations.test_interruption import migrator_with
asyncio.run(migrator_with(Settings.load(), Path(sys.argv[1])).upgrade())
"""


def migrator_with(settings: Settings, folder: Path) -> SqlMigrator:
    """Return a migrator that also reads the revisions of this folder."""
    migrator = SqlMigrator(settings)
    known = Path(sys.modules[SqlMigrator.__module__].__file__ or "").parent / "versions"
    migrator._config.set_main_option("version_locations", os.pathsep.join([str(known), str(folder)]))
    return migrator


def write_revision(folder: Path, *, upgrade: str, downgrade: str = "pass") -> Path:
    """Write a revision that follows the newest one; return its folder."""
    text = REVISION.format(
        number=NEXT,
        newest=NEWEST,
        upgrade=upgrade.replace("\n", "\n    "),
        downgrade=downgrade.replace("\n", "\n    "),
    )
    (folder / f"{NEXT}_of_a_test.py").write_text(text)
    return folder


async def tables(settings: Settings) -> set[str]:
    """Return the names of all tables."""
    async with sql_connection(settings) as connection:
        return set(await connection.run_sync(lambda sync: inspect(sync).get_table_names()))


# -- SQL -----------------------------------------------------------------------------------------


async def test_revision_that_fails_leaves_an_empty_database_empty(sql: Provision, tmp_path: Path) -> None:
    """All revisions of one run are one transaction, which is rolled back as a whole."""
    folder = write_revision(tmp_path, upgrade=f"{MAKE_A_TABLE}\n{RAISE}")
    async with sql.empty_database() as settings:
        with pytest.raises(RuntimeError, match="on the way"):
            await migrator_with(settings, folder).upgrade()
        assert await tables(settings) == set()
        assert await open_migrator(settings).upgrade() == every_number(settings)
        assert await open_migrator(settings).check() == []


async def test_revision_that_fails_leaves_the_schema_as_it_was(sql: Provision, tmp_path: Path) -> None:
    """A failed revision changes nothing, and the corrected revision applies."""
    async with sql.empty_database() as settings:
        await open_migrator(settings).upgrade()
        before = await tables(settings)
        migrator = migrator_with(settings, write_revision(tmp_path, upgrade=f"{MAKE_A_TABLE}\n{RAISE}"))
        with pytest.raises(RuntimeError, match="on the way"):
            await migrator.upgrade()
        assert await tables(settings) == before
        assert await migrator.current() == NEWEST
        assert await open_migrator(settings).check() == []

        mended = migrator_with(settings, write_revision(tmp_path, upgrade=MAKE_A_TABLE, downgrade=RAISE))
        assert await mended.upgrade() == [NEXT]
        with pytest.raises(RuntimeError, match="on the way"):
            await mended.downgrade("base")
        assert await mended.current() == NEXT
        assert await tables(settings) == before | {"half_done"}


async def test_process_that_dies_in_a_revision_leaves_neither_change_nor_lock(
    sql: Provision, tmp_path: Path
) -> None:
    """After a kill -9 during a revision, the database is unchanged and the lock is free."""
    folder = write_revision(tmp_path, upgrade=f"{MAKE_A_TABLE}\n{KILL}")
    async with sql.empty_database() as settings:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-c", UPGRADE, folder),
            cwd=tmp_path,
            env=environment(tmp_path, settings, PYTHONPATH=os.fspath(ROOT)),
        )
        assert await asyncio.wait_for(process.wait(), TIMEOUT_SECONDS) == -9
        assert await tables(settings) == set()
        assert await open_migrator(settings).upgrade() == every_number(settings)
        assert await open_migrator(settings).check() == []


async def test_rebuild_of_users_keeps_their_items(sql: Provision, tmp_path: Path) -> None:
    """SQLite rebuilds an altered table: the drop must not cascade, and the foreign key is kept."""
    change = 'with op.batch_alter_table("users", recreate="auto") as users:\n    users.{}'
    folder = write_revision(
        tmp_path,
        upgrade=change.format('alter_column("full_name", nullable=False)'),
        downgrade=change.format('alter_column("full_name", nullable=True)'),
    )
    async with sql.empty_database() as settings:
        await open_migrator(settings).upgrade()
        async with opened(sql.open(settings)) as backend:
            owner = await backend.users.add(NewUser(email="a@b.io", hashed_password="x", full_name="A"))
            item = await backend.items.add(NewItem(title="kept"), owner_id=owner.id)

        migrator = migrator_with(settings, folder)
        assert await migrator.upgrade() == [NEXT]
        assert await migrator.downgrade(NEWEST) == [NEXT]
        assert await migrator.check() != []  # the migrator's newest revision is not applied any more
        assert await open_migrator(settings).check() == []

        async with opened(sql.open(settings)) as backend:
            assert (await backend.users.list()).data == [owner]
            assert (await backend.items.list()).data == [item]
            await backend.users.delete(owner.id)
            assert (await backend.items.list()).data == []


async def test_revision_that_breaks_references_is_refused_whole(sql: Provision, tmp_path: Path) -> None:
    """A revision that leaves orphans is rolled back; on SQLite the migrator checks before the commit."""
    orphaning = "UPDATE items SET owner_id = CAST('nobody 00001' AS {})"
    async with sql.empty_database() as settings:
        await open_migrator(settings).upgrade()
        async with opened(sql.open(settings)) as backend:
            owner = await backend.users.add(NewUser(email="a@b.io", hashed_password="x"))
            await backend.items.add(NewItem(title="about to be an orphan"), owner_id=owner.id)
        statement = orphaning.format("BLOB" if settings.db_backend == "sqlite" else "BYTEA")
        folder = write_revision(tmp_path, upgrade=f"{MAKE_A_TABLE}\nop.execute({statement!r})")
        migrator = migrator_with(settings, folder)
        # On PostgreSQL the error is an IntegrityError, which only the repositories translate.
        with pytest.raises(Exception, match=r"reference|foreign_key"):
            await migrator.upgrade()
        assert await migrator.current() == NEWEST
        assert "half_done" not in await tables(settings)


# -- MongoDB -------------------------------------------------------------------------------------


async def test_step_that_was_interrupted_anywhere_is_finished_by_the_next_run(
    mongo: Provision, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A step is interrupted after each operation in turn; it is not recorded, and a new run finishes."""
    calls = 0
    stop_after = 0

    def interrupted(name: str) -> Any:
        async def run(*args: Any, **options: Any) -> None:
            nonlocal calls
            if calls == stop_after:
                raise RuntimeError("on the way")
            calls += 1
            await getattr(operations, name)(*args, **options)

        return run

    async with mongo.empty_database() as settings:
        migrator = open_migrator(settings)
        for name in ("ensure_collection", "ensure_index"):
            monkeypatch.setattr(first_step, name, interrupted(name))
        for stop_after in range(8):
            calls = 0
            with pytest.raises(RuntimeError, match="on the way"):
                await migrator.upgrade()
            assert calls == stop_after
            assert await migrator.current() is None
        monkeypatch.undo()
        assert await migrator.upgrade() == every_number(settings)
        assert await migrator.check() == []


async def test_downgrade_that_was_interrupted_is_finished_by_the_next_run(
    mongo: Provision, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An interrupted downgrade stays recorded as applied and is reverted again from the start."""
    dropped: list[str] = []

    async def interrupted(database: Any, name: str) -> None:
        if dropped:
            raise RuntimeError("on the way")
        dropped.append(name)
        await operations.drop_collection(database, name)

    async with mongo.empty_database() as settings, mongo_database(settings) as database:
        migrator = open_migrator(settings)
        await migrator.upgrade()
        monkeypatch.setattr(first_step, "drop_collection", interrupted)
        with pytest.raises(RuntimeError, match="on the way"):
            await migrator.downgrade("base")
        assert len(dropped) == 1
        assert dropped[0] not in await database.list_collection_names()
        assert await migrator.current() == "0001"
        monkeypatch.undo()
        assert await migrator.check() != []
        backend = await mongo.open(settings)
        with pytest.raises(SchemaMismatch):
            await backend.check_schema()
        await backend.close()
        # Both ways lead out: applying the step again, and finishing the downgrade.
        assert await migrator.upgrade() == every_number(settings)
        assert await migrator.check() == []
        dropped.clear()
        monkeypatch.setattr(first_step, "drop_collection", interrupted)
        with pytest.raises(RuntimeError, match="on the way"):
            await migrator.downgrade("base")
        monkeypatch.undo()
        assert await migrator.downgrade("base") == ["0001"]
        assert await migrator.current() is None
        assert not {"users", "items", "deleted_users", "counters"} & set(
            await database.list_collection_names()
        )


async def test_step_whose_record_failed_is_run_again(mongo: Provision) -> None:
    """The next run repeats a finished step that was not recorded, and records it once."""
    async with mongo.empty_database() as settings, mongo_database(settings) as database:
        migrator = open_migrator(settings)
        async with failing_commands(database, "update", times=1, errorCode=8000):
            with pytest.raises(BackendError):
                await migrator.upgrade()
        assert await migrator.current() is None
        assert await migrator.upgrade() == every_number(settings)
        assert await migrator.check() == []
        records = await database.schema_migrations.find({}).sort("_id").to_list()
        assert [(record["_id"], record["name"]) for record in records] == [
            (revision.number, revision.summary) for revision in migrator.history()
        ]
