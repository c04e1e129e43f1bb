"""What is prepared in large tables on PostgreSQL before a revision, while others write."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from pydantic import SecretStr
from sqlalchemy import text

from backends.models import fold_case
from eitherdb.migrations import (
    AddField,
    AddMarkers,
    AddResource,
    ChangeBounds,
    MakeRequired,
    RemoveChoice,
)
from migrations import MigrationError, open_migrator
from migrations.sql import fills, steps
from tests.backends.raw import sql_connection
from tests.cli.command import database_on
from tests.migrations.change_cases import Row, Text, declare
from tests.migrations.prepared_books import (
    BEFORE,
    EVERYTHING,
    NAMED,
    ROWS,
    SEARCHABLE,
    SEARCHED,
    before_statements,
    change,
    found,
    meanwhile,
    objects,
)
from tests.migrations.shop import add, first, history_with, prepared, read
from tests.migrations.test_search_path import with_search_path
from tests.pgbouncer import pgbouncer
from tests.provision import PostgresProvision, Provision, Servers


@pytest.fixture(autouse=True)
def _every_table_is_large(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(steps, "SMALL", 0)
    monkeypatch.setattr(fills, "BATCH", 1)


async def test_texts_that_others_write_meanwhile_are_found_by_the_search(postgres: Provision) -> None:
    """They change while they are folded, after they were folded, and after the last pass."""
    async with postgres.empty_database() as settings:
        names = ["same", "old 1", "old 2", "old 3"]
        ids = await prepared(settings, SEARCHABLE, NAMED, [{"name": name} for name in names])

        def write(id_: str, number: int) -> Callable[[], Awaitable[None]]:
            async def act() -> None:
                await change(settings, NAMED, id_, name=f"Größe {number}")
                await add(settings, NAMED, [{"name": f"NEU {number}"}])

            return act

        with (
            meanwhile("picked.folded", write(ids[1], 1), number=2),
            meanwhile("picked.folded", write(ids[2], 2), number=4),
            # The second lock is that of the transaction.
            meanwhile("LOCK TABLE", write(ids[3], 3), number=2),
        ):
            assert await open_migrator(settings, [SEARCHABLE]).upgrade() == ["shop:0002"]
        assert await open_migrator(settings, [SEARCHABLE]).check() == []
        assert await found(settings, SEARCHED, "grösse") == ["Größe 1", "Größe 2", "Größe 3"]
        assert await found(settings, SEARCHED, "neu") == ["NEU 1", "NEU 2", "NEU 3"]
        assert await found(settings, SEARCHED, "old") == []
        assert await found(settings, SEARCHED, "same") == ["same"]
        async with sql_connection(settings) as connection:
            query = "SELECT name, name_folded FROM books"
            rows = (await connection.exec_driver_sql(query)).mappings().all()
            assert [row["name_folded"] for row in rows] == [fold_case(row["name"]) for row in rows]


async def test_texts_are_folded_before_the_table_is_locked(postgres: Provision) -> None:
    """The transaction has nothing left to fold, and checks no row for a CHECK."""
    statements: list[str] = []
    async with postgres.empty_database() as settings:
        await prepared(settings, EVERYTHING, BEFORE, ROWS)
        with before_statements(statements.append):
            await open_migrator(settings, [EVERYTHING]).upgrade()
    renamed = next(each for each, statement in enumerate(statements) if "RENAME" in statement)
    assert sum("picked.folded" in each for each in statements[:renamed]) == 2
    assert not any("picked.folded" in each for each in statements[renamed:])
    assert not any("ADD CONSTRAINT ck_" in each or "ADD COLUMN name" in each for each in statements)


@pytest.mark.parametrize(
    ("operation", "row", "message"),
    [
        (
            RemoveChoice("books", "state", "c"),
            {"state": "c"},
            "state has the choice 'c', which is removed,",
        ),
        (ChangeBounds("books", "number", maximum=9), {"number": 10}, "number has values outside its new"),
    ],
    ids=["choice", "bounds"],
)
async def test_a_row_that_breaks_a_rule_meanwhile_is_named(
    postgres: Provision, operation: Any, row: Row, message: str
) -> None:
    """It is written after the check of the rules. Values that rows have got stay, as the message says."""
    good: Row = {"name": "a", "note": None, "state": "a", "number": 1}
    ids: list[str] = []
    fill = MakeRequired("books", "note", "none")
    marker = AddMarkers("books", "name", ("searchable",))
    history = history_with([AddResource(BEFORE.__resource__)], [fill, marker, operation])
    async with postgres.empty_database() as settings:
        await prepared(settings, history, BEFORE, [good])

        async def act() -> None:
            ids.extend(await add(settings, BEFORE, [{**good, **row, "title": "bad"}]))

        with meanwhile("LOCK TABLE", act, number=2), pytest.raises(MigrationError) as caught:
            await open_migrator(settings, [history]).upgrade()
        assert str(caught.value).startswith(f"revision shop:0002: books.{message}")
        assert str(caught.value).endswith(
            f" in {ids[0]}; rows have got the values of the revision, and nothing else was changed; "
            "correct these rows and run `eitherdb migrate upgrade` again"
        )
        assert await objects(settings) == set()
        assert await open_migrator(settings, [first(history)]).check() == []
        assert [each["note"] for each in await read(settings, BEFORE)] == ["none", None]


async def test_no_table_is_locked_while_another_revision_prepares(postgres: Provision) -> None:
    """The revision before it is committed first, so nobody waits for its locks."""
    extra = declare({"extra": Text | None}).__resource__.by_name["extra"]
    history = history_with(
        [AddResource(NAMED.__resource__)],
        [AddField("books", extra)],
        [AddMarkers("books", "name", ("searchable",))],
    )
    async with postgres.empty_database() as settings, sql_connection(settings) as reader:
        await prepared(settings, history, NAMED, [{"name": "a"}])

        async def act() -> None:
            await reader.exec_driver_sql("SET lock_timeout = '1s'")
            await reader.exec_driver_sql("SELECT extra FROM books")

        with meanwhile("picked.folded", act):
            assert await open_migrator(settings, [history]).upgrade() == ["shop:0002", "shop:0003"]
        migrator = open_migrator(settings, [history])
        assert await migrator.check() == []
        assert await migrator.downgrade("shop:0001") == ["shop:0003", "shop:0002"]
        assert await open_migrator(settings, [first(history)]).check() == []


async def test_the_idle_transaction_is_not_ended_by_the_server(postgres: Provision) -> None:
    """It waits for the second connection for longer than the operator's timeout."""
    async with postgres.empty_database() as settings, sql_connection(settings) as operator:
        await prepared(settings, SEARCHABLE, NAMED, [{"name": "a"}])
        database = await operator.scalar(text("SELECT quote_ident(current_database())"))
        await operator.exec_driver_sql(
            f"ALTER DATABASE {database} SET idle_in_transaction_session_timeout = 100"
        )

        async def act() -> None:
            await operator.exec_driver_sql("SELECT pg_sleep(0.3)")

        with meanwhile("picked.folded", act):
            assert await open_migrator(settings, [SEARCHABLE]).upgrade() == ["shop:0002"]


@pytest.mark.pgbouncer
async def test_large_tables_change_behind_pgbouncer(servers: Servers) -> None:
    """In transaction pooling, with a schema of which only the transactions are told."""
    async with database_on(PostgresProvision(servers)) as shared:
        async with sql_connection(shared) as connection:
            await connection.exec_driver_sql("CREATE SCHEMA eitherdb")
        direct = with_search_path(shared, "eitherdb")
        await prepared(direct, EVERYTHING, BEFORE, ROWS)
        with pgbouncer(direct.url, "transaction", default_pool_size=2) as url:
            migrator = open_migrator(
                direct.model_copy(update={"database_url": SecretStr(url)}), [EVERYTHING]
            )
            assert await migrator.upgrade() == ["shop:0002"]
            assert await migrator.check() == []
            assert await migrator.downgrade("shop:0001") == ["shop:0002"]
        assert await objects(direct) == set()
        assert await open_migrator(direct, [first(EVERYTHING)]).check() == []


@pytest.mark.pgbouncer
async def test_a_pooler_without_a_second_session_is_refused(servers: Servers) -> None:
    """Nothing is changed, and the message says what to change."""
    async with database_on(PostgresProvision(servers)) as direct:
        await prepared(direct, EVERYTHING, BEFORE, ROWS)
        with pgbouncer(direct.url, "transaction", default_pool_size=1, query_wait_timeout=1) as url:
            settings = direct.model_copy(update={"database_url": SecretStr(url)})
            with pytest.raises(MigrationError, match="gives only one: raise its pool size"):
                await open_migrator(settings, [EVERYTHING]).upgrade()
        assert await open_migrator(direct, [first(EVERYTHING)]).check() == []
