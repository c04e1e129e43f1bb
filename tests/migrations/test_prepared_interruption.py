"""Preparations of large tables that are interrupted, taken over by the next run, or abandoned."""

from __future__ import annotations

import asyncio
import signal
import sys

import pytest
from sqlalchemy import text

from eitherdb.migrations import AddMarkers, AddResource, DropField, Run
from migrations import open_migrator
from migrations.sql import fills, steps
from tests.backends.raw import sql_connection
from tests.migrations.change_cases import Row
from tests.migrations.prepared_books import (
    AFTER,
    BEFORE,
    CHANGED,
    EVERYTHING,
    ROWS,
    StoppedError,
    found,
    meanwhile,
    objects,
    stop,
    stopped_after,
)
from tests.migrations.shop import add, expected, first, history_with, prepared, read
from tests.provision import Provision


@pytest.fixture(autouse=True)
def _every_table_is_large(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(steps, "SMALL", 0)
    monkeypatch.setattr(fills, "BATCH", 1)


async def test_preparations_that_are_interrupted_anywhere_are_taken_over(postgres: Provision) -> None:
    """Servers of the revision before start and write meanwhile. In the end, nothing is left over."""
    async with postgres.empty_database() as settings:
        await prepared(settings, EVERYTHING, BEFORE, ROWS)
        migrator = open_migrator(settings, [EVERYTHING])
        seen, count, extra, is_done = set[str](), 0, list[Row](), False
        while not is_done:
            try:
                with stopped_after(count):
                    await migrator.upgrade()
                is_done = True
            except StoppedError:
                seen |= await objects(settings)
                if await migrator.applied() == {"shop": "0001"}:
                    row: Row = {"name": f"N {count}", "note": "own", "state": "a", "number": 4}
                    extra.append({**row, "title": f"Extra {count}"})
                    await add(settings, BEFORE, extra[-1:])
            count += 3
        assert seen == {"trigger", "function", "constraint", "index", "column"}
        assert await objects(settings) == set()
        assert await migrator.check() == []
        assert await read(settings, AFTER) == expected(AFTER, ROWS + extra, CHANGED + [{}] * len(extra))
        assert await found(settings, AFTER, "strasse") == ["Straße", "STRASSE"]
        assert await found(settings, AFTER, "n ") == [row["name"] for row in extra]


async def test_what_an_abandoned_revision_left_is_named_and_dropped(postgres: Provision) -> None:
    """Its file is deleted; servers of the revision before start, and the next upgrade cleans up."""
    async with postgres.empty_database() as settings:
        await prepared(settings, EVERYTHING, BEFORE, ROWS)
        with meanwhile("RENAME", stop), pytest.raises(StoppedError):
            await open_migrator(settings, [EVERYTHING]).upgrade()
        assert await objects(settings) == {"trigger", "function", "constraint", "index", "column"}
        migrator = open_migrator(settings, [first(EVERYTHING)])
        for difference in await migrator.check():
            assert difference.startswith("the table books has the ")
            assert difference.endswith(
                ", which an interrupted revision left: run `eitherdb migrate upgrade`, which takes it over "
                "or drops it"
            )
        assert len(await migrator.check()) == 6
        assert len(await read(settings, BEFORE)) == 3
        assert await migrator.upgrade() == []
        assert await objects(settings) == set()
        assert await migrator.check() == []


async def test_another_revision_drops_what_an_abandoned_one_left(postgres: Provision) -> None:
    """The trigger of the abandoned one would fail without the column that the other one drops."""
    abandoned = history_with(
        [AddResource(BEFORE.__resource__)], [AddMarkers("books", "name", ("searchable",))]
    )
    dropping = history_with(
        [AddResource(BEFORE.__resource__)],
        [
            DropField("books", "name"),
            Run(lambda connection: connection.exec_driver_sql("UPDATE books SET note = 'own'"), nothing),
        ],
    )
    async with postgres.empty_database() as settings:
        await prepared(settings, abandoned, BEFORE, ROWS)
        with meanwhile("RENAME", stop), pytest.raises(StoppedError):
            await open_migrator(settings, [abandoned]).upgrade()
        migrator = open_migrator(settings, [dropping])
        assert await migrator.upgrade() == ["shop:0002"]
        assert await migrator.check() == []
        assert await objects(settings) == set()
        async with sql_connection(settings) as connection:
            assert set(await connection.scalars(text("SELECT note FROM books"))) == {"own"}


async def nothing(_: object) -> None:
    """Do nothing."""


KILLED = """
import asyncio, os, signal, sys
from migrations import open_migrator
from migrations.sql import steps
from tests.migrations.prepared_books import EVERYTHING, before_statements
from tests.provision import make_settings

def kill(statement):
    if "VALIDATE" in statement:
        os.kill(os.getpid(), signal.SIGKILL)

steps.SMALL = 0
settings = make_settings(db_backend="postgres", database_url=sys.argv[1])
with before_statements(kill):
    asyncio.run(open_migrator(settings, [EVERYTHING]).upgrade())
"""


async def test_a_killed_upgrade_is_repeated(postgres: Provision) -> None:
    """It was killed with SIGKILL when texts were folded and CHECKs were to be validated."""
    async with postgres.empty_database() as settings:
        await prepared(settings, EVERYTHING, BEFORE, ROWS)
        process = await asyncio.create_subprocess_exec(sys.executable, "-c", KILLED, settings.url)
        assert await process.wait() == -signal.SIGKILL
        assert await objects(settings) == {"trigger", "function", "column", "constraint"}
        migrator = open_migrator(settings, [EVERYTHING])
        assert await migrator.upgrade() == ["shop:0002"]
        assert await objects(settings) == set()
        assert await migrator.check() == []
        assert await read(settings, AFTER) == expected(AFTER, ROWS, CHANGED)
