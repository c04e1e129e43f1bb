"""Revisions of tables with many rows on PostgreSQL, which others read and write meanwhile."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from backends.errors import BackendError
from config import Settings
from eitherdb import Sortable
from eitherdb.migrations import AddField, AddMarkers, AddResource, AddUnique
from migrations import MigrationError, open_migrator
from migrations.sql import steps
from tests.backends.raw import sql_connection
from tests.migrations.change_cases import CASES, Text, declare
from tests.migrations.shop import add, expected, first, history_with, prepared, read
from tests.provision import Provision

BOOK, SORTED = declare({"name": Text}), declare({"name": Annotated[Text, Sortable()]})
NAMED = [{"name": "a"}, {"name": "b"}]
MARKED = history_with([AddResource(BOOK.__resource__)], [AddMarkers("books", "name", ("sortable",))])
SECONDS = 10.0


@pytest.fixture(autouse=True)
def _every_table_is_large(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(steps, "SMALL", 0)


@asynccontextmanager
async def transaction(settings: Settings, statement: str) -> AsyncIterator[AsyncConnection]:
    """Hold the locks of a statement."""
    async with sql_connection(settings) as connection:
        await connection.exec_driver_sql("BEGIN")
        await connection.exec_driver_sql(statement)
        yield connection
        await connection.exec_driver_sql("COMMIT")


async def waits(settings: Settings, statement: str) -> int:
    """Wait until a session waits for others with such a statement; return its pid."""
    query = text("SELECT pid FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE :query")
    async with sql_connection(settings) as connection, asyncio.timeout(SECONDS):
        while (pid := await connection.scalar(query, {"query": f"{statement}%"})) is None:  # noqa: ASYNC110 - no event tells of it
            await asyncio.sleep(0.02)
    return int(pid)


@pytest.mark.parametrize(
    "name",
    [
        "text or null",
        "decimal",
        "list",
        "null reference",
        "reference to itself",
        "renamed and changed",
        "removed choice",
        "added markers",
        "optional",
        "unique group",
        "reference",
        "owner",
    ],
)
async def test_a_large_table_ends_with_the_same_schema(postgres: Provision, name: str) -> None:
    """What is created after the transaction is undone like the rest."""
    case = CASES[name]
    before, after = declare(case.before, **case.options), declare(case.after, **case.options_after)
    history = history_with([AddResource(before.__resource__)], case.operations(after.__resource__))
    async with postgres.empty_database() as settings:
        await prepared(settings, history, before, case.rows)
        migrator = open_migrator(settings, [history])
        assert await migrator.upgrade() == ["shop:0002"]
        assert await migrator.check() == []
        assert await read(settings, after) == expected(after, case.rows, case.changed)
        assert await migrator.downgrade("shop:0001") == ["shop:0002"]
        assert await open_migrator(settings, [first(history)]).check() == []


async def test_rows_are_written_while_an_index_is_created(postgres: Provision) -> None:
    """The creation waits for an older transaction; nobody waits for the creation."""
    async with postgres.empty_database() as settings:
        await prepared(settings, MARKED, BOOK, NAMED)
        async with transaction(settings, "UPDATE books SET name = 'c'"):
            upgrade = asyncio.create_task(open_migrator(settings, [MARKED]).upgrade())
            await waits(settings, "CREATE INDEX CONCURRENTLY")
            await asyncio.wait_for(add(settings, BOOK, [{"name": "new"}]), SECONDS)
            assert not upgrade.done()
        assert await asyncio.wait_for(upgrade, SECONDS) == ["shop:0002"]
        assert await open_migrator(settings, [MARKED]).check() == []
        assert [row["name"] for row in await read(settings, SORTED)] == ["c", "c", "new"]


async def test_an_index_that_an_interruption_left_is_created_again(postgres: Provision) -> None:
    """The next run drops the invalid index; the revision is applied already."""
    async with postgres.empty_database() as settings, sql_connection(settings) as operator:
        await prepared(settings, MARKED, BOOK, NAMED)
        migrator = open_migrator(settings, [MARKED])
        async with transaction(settings, "UPDATE books SET name = 'c'"):
            upgrade = asyncio.create_task(migrator.upgrade())
            pid = await waits(settings, "CREATE INDEX CONCURRENTLY")
            await operator.execute(text("SELECT pg_terminate_backend(:pid)"), {"pid": pid})
            with pytest.raises(BackendError):
                await upgrade
        assert await migrator.applied() == {"shop": "0002"}
        (difference,) = await migrator.check()
        assert "INVALID" in difference
        assert await migrator.upgrade() == []
        assert await migrator.check() == []


async def test_rows_are_written_while_a_unique_index_is_created(postgres: Provision) -> None:
    """An interruption leaves an invalid index; the next run creates it again, and the constraint has it."""
    history = history_with([AddResource(BOOK.__resource__)], [AddUnique("books", ("name", "title"))])
    unique = declare({"name": Text}, unique=[("name", "title")])
    async with postgres.empty_database() as settings, sql_connection(settings) as operator:
        await prepared(settings, history, BOOK, NAMED)
        migrator = open_migrator(settings, [history])
        async with transaction(settings, "UPDATE books SET name = 'c'"):
            upgrade = asyncio.create_task(migrator.upgrade())
            pid = await waits(settings, "CREATE UNIQUE INDEX CONCURRENTLY")
            await asyncio.wait_for(add(settings, BOOK, [{"name": "new"}]), SECONDS)
            await operator.execute(text("SELECT pg_terminate_backend(:pid)"), {"pid": pid})
            with pytest.raises(BackendError):
                await upgrade
        assert await migrator.applied() == {"shop": "0001"}
        assert await migrator.upgrade() == ["shop:0002"]
        assert await migrator.check() == []
        assert [row["name"] for row in await read(settings, unique)] == ["c", "c", "new"]


async def test_a_unique_index_that_rows_refuse_leaves_nothing(postgres: Provision) -> None:
    """Rows that are written after the check of the rules are named all the same."""
    history = history_with([AddResource(BOOK.__resource__)], [AddUnique("books", ("name",))])
    async with postgres.empty_database() as settings:
        await prepared(settings, history, BOOK, NAMED)
        async with transaction(settings, "UPDATE books SET name = 'c'"):
            upgrade = asyncio.create_task(open_migrator(settings, [history]).upgrade())
            await waits(settings, "CREATE UNIQUE INDEX CONCURRENTLY")
        with pytest.raises(
            MigrationError, match=r"books.name has the same value in .*; this revision changed nothing"
        ):
            await asyncio.wait_for(upgrade, SECONDS)
        assert await open_migrator(settings, [first(history)]).check() == []


async def test_a_table_is_locked_in_short_attempts(postgres: Provision) -> None:
    """Readers go on between the attempts, although an older transaction keeps the revision waiting."""
    extra = declare({"extra": Text | None}).__resource__.by_name["extra"]
    history = history_with([AddResource(BOOK.__resource__)], [AddField("books", extra)])
    async with postgres.empty_database() as settings, sql_connection(settings) as reader:
        await prepared(settings, history, BOOK, NAMED)
        async with transaction(settings, "SELECT FROM books"):
            upgrade = asyncio.create_task(open_migrator(settings, [history]).upgrade())
            for _ in range(2):
                await waits(settings, "LOCK TABLE")
                async with asyncio.timeout(SECONDS):
                    await reader.exec_driver_sql("SELECT FROM books")
            assert not upgrade.done()
        assert await asyncio.wait_for(upgrade, SECONDS) == ["shop:0002"]
