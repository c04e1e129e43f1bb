"""A real PgBouncer in front of PostgreSQL: no setting is needed, and nothing depends on session state."""

from __future__ import annotations

import asyncio
import itertools
import re
from collections.abc import AsyncIterator, Awaitable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import quote

import asyncpg
import pytest
from pydantic import SecretStr

from backends import open_backend, open_scratch
from backends.errors import BackendError
from backends.models import ItemChanges, NewItem
from backends.protocols import Backend
from backends.requirements import Purpose
from backends.sql import postgres_pool
from config import Settings
from migrations import open_migrator
from tests.backends.methods import METHODS, add_rows
from tests.backends.raw import opened
from tests.backends.record import connections_of
from tests.cli.command import call_async
from tests.pgbouncer import PoolMode, pgbouncer
from tests.provision import Provision, connect_postgres

pytestmark = pytest.mark.pgbouncer

SESSIONS = 2
"""The number of PgBouncer's server connections, which several times as many clients share."""


@asynccontextmanager
async def behind(
    postgres: Provision,
    mode: PoolMode,
    *,
    query: str = "",
    pool_size: int = SESSIONS,
    settings: Mapping[str, object] | None = None,
) -> AsyncIterator[Settings]:
    """Run a PgBouncer in front of a new database. Yield the settings for connections through it."""
    async with postgres.empty_database() as direct:
        with pgbouncer(direct.url, mode, default_pool_size=pool_size, **(settings or {})) as url:
            yield direct.model_copy(
                update={"database_url": SecretStr(url + query), "db_connect_timeout_seconds": 10}
            )
        await end_sessions(direct)


async def end_sessions(direct: Settings) -> None:
    """Wait until PgBouncer's sessions have ended, because a database with sessions can't be dropped."""
    connection = await connect_postgres(direct.url)
    others = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
    async with asyncio.timeout(20):
        while await connection.fetchval(others) > 1:  # noqa: ASYNC110 - no event tells of it
            await asyncio.sleep(0.02)
    await connection.close()


@pytest.mark.parametrize("mode", ["transaction", "session"])
async def test_every_method_works_while_others_use_the_sessions(
    postgres: Provision, mode: PoolMode
) -> None:
    """Two services with more connections than there are sessions need no setting for the pooler."""
    async with behind(postgres, mode) as settings:
        await open_migrator(settings).upgrade()
        async with opened(open_backend(settings)) as first, opened(open_backend(settings)) as second:
            assert [need for need in await first.check_server(Purpose.SERVE) if need.is_fatal] == []
            await first.check_schema()
            busy = await add_rows(second)
            stop = asyncio.Event()

            async def change_items() -> int:
                for count in itertools.count():
                    if stop.is_set():
                        return count
                    item = await second.items.add(NewItem(title="x"), owner_id=busy.owner.id)
                    await second.items.update(item.id, ItemChanges(title="y"))
                    await second.items.delete(item.id)
                raise AssertionError

            others = [asyncio.create_task(change_items()) for _ in range(2 * SESSIONS)]
            for method, _, _ in METHODS.values():
                await method(first, await add_rows(first))
            stop.set()
            assert min(await asyncio.gather(*others)) > 0


@pytest.mark.parametrize("forgotten", ["", "search_path"])
async def test_search_path_is_never_lost(postgres: Provision, forgotten: str) -> None:
    """The search path holds if PgBouncer refuses or ignores it, and if other clients change it."""
    schema = 'Some "schema'
    ignored: dict[str, object] = {"ignore_startup_parameters": forgotten} if forgotten else {}
    query = "?search_path=" + quote('"Some ""schema"')
    async with behind(postgres, "transaction", query=query, settings=ignored) as settings:
        refused = await outcome(open_backend(settings))
        assert "the schema does not exist" in refused
        other = await asyncpg.connect(settings.url.partition("?")[0], statement_cache_size=0)
        await other.execute('CREATE SCHEMA "Some ""schema"')
        await open_migrator(settings).upgrade()
        await other.execute("SET search_path = pg_temp")
        async with opened(open_backend(settings)) as backend:
            rows = await add_rows(backend)
            for _ in range(5):
                await other.execute("SET search_path = pg_temp")
                await backend.check_schema()
                assert await backend.items.get(rows.item.id) == rows.item
                await backend.users.delete(rows.owner.id)
                rows = await add_rows(backend)
        assert await open_migrator(settings).check() == []
        tables = "SELECT DISTINCT schemaname FROM pg_tables WHERE tablename IN ('users', 'alembic_version')"
        assert [row[0] for row in await other.fetch(tables)] == [schema]
        await other.close()


async def outcome(opening: Awaitable[Backend]) -> str:
    """Return the error message of a failed opening."""
    with pytest.raises(BackendError) as refused:
        await opening
    return str(refused.value)


async def test_option_that_the_pooler_ignores_is_refused(postgres: Provision) -> None:
    """An option that PgBouncer refuses itself is reported with PgBouncer's message."""
    query = "?options=" + quote("-c statement_timeout=5000")
    async with behind(
        postgres, "transaction", query=query, settings={"ignore_startup_parameters": "statement_timeout"}
    ) as settings:
        words = "ignores statement_timeout .* ALTER ROLE name SET statement_timeout = '5000'"
        assert re.search(words, await outcome(open_backend(settings)))
    async with behind(postgres, "transaction", query=query) as settings:
        words = "unsupported startup parameter: statement_timeout.* ALTER ROLE"
        assert re.search(words, await outcome(open_backend(settings)))


async def test_pooler_without_transactions_is_refused_in_one_line(
    postgres: Provision, tmp_path: Path
) -> None:
    """With `pool_mode = statement` the message names the setting to change."""
    async with behind(postgres, "statement") as settings:
        for command in (["check"], ["migrate", "upgrade"], ["serve"], ["serve", "--migrate"]):
            done = await call_async(tmp_path, *command, settings=settings)
            assert done.exit_code != 0, command
            (line,) = (line for line in (done.out + done.err).splitlines() if "pool_mode" in line)
            assert "transaction or session" in line
            assert "Traceback" not in done.err


async def test_fewer_clients_than_the_pool_may_have_are_enough(
    postgres: Provision, caplog: pytest.LogCaptureFixture
) -> None:
    """PgBouncer refuses further clients.

    Calls wait for the existing connections, and the log reports it once.
    """
    async with behind(postgres, "transaction", settings={"max_client_conn": SESSIONS}) as settings:
        await open_migrator(settings).upgrade()
        async with opened(open_backend(settings)) as backend:
            rows = await add_rows(backend)
            found = await asyncio.gather(*(backend.items.list(owner_id=rows.owner.id) for _ in range(50)))
            assert {page.count for page in found} == {1}
    (message,) = (record.getMessage() for record in caplog.records if record.name == postgres_pool.__name__)
    assert re.search(f"gives this service [1-{SESSIONS}] of the 10 connections of DB_POOL_SIZE", message)
    assert "max_client_conn" in message


async def test_statement_that_timed_out_waiting_for_a_session_is_retried(postgres: Provision) -> None:
    """After PgBouncer's `query_wait_timeout` nothing has been executed, and there is time for a retry."""
    async with behind(postgres, "transaction", pool_size=1, settings={"query_wait_timeout": 1}) as settings:
        await open_migrator(settings).upgrade()
        async with opened(open_backend(settings)) as backend:
            rows = await add_rows(backend)
            await asyncio.gather(*(backend.items.list() for _ in range(5)))  # Opens connections.
            blocking = asyncio.create_task(connections_of(backend)._fetch("SELECT pg_sleep(3)", []))
            await asyncio.sleep(0.2)
            changed = await backend.items.update(rows.item.id, ItemChanges(title="later"))
            assert changed.title == "later"
            await blocking


async def test_scratch_schema_of_the_report_touches_no_row_of_the_service(postgres: Provision) -> None:
    """`eitherdb conformance` empties tables again and again: its own, in whichever session."""
    async with behind(postgres, "transaction") as settings:
        await open_migrator(settings).upgrade()
        async with opened(open_backend(settings)) as backend:
            rows = await add_rows(backend)

            async def keep_a_session() -> None:
                connection = await asyncpg.connect(settings.url, statement_cache_size=0)
                async with connection.transaction():
                    await connection.execute("SELECT pg_sleep(0.1)")
                await connection.close()

            scratch = await open_scratch(settings)
            await open_migrator(scratch.settings).upgrade()
            for _ in range(5):
                busy = asyncio.create_task(keep_a_session())
                await asyncio.sleep(0.03)
                await scratch.clean()
                await scratch.set_numbers({1: 1, 2: 2})
                transaction = await scratch.begin()
                assert transaction is not None
                await transaction.write(1, 3)
                await transaction.add(3, 4)
                await transaction.commit()
                assert await backend.items.get(rows.item.id) == rows.item
                await busy
            transaction = await scratch.begin()
            assert transaction is not None
            assert await transaction.read_all() == {1: 3, 2: 2, 3: 4}
            await transaction.roll_back()
            await scratch.drop()
            await backend.check_schema()
            schemas = "SELECT count(*) FROM pg_namespace WHERE nspname LIKE 'eitherdb_scratch%'"
            ((left,),) = await connections_of(backend)._fetch(schemas, [])
            paths = {
                value
                for found in await asyncio.gather(
                    *(
                        connections_of(backend)._fetch(
                            "SELECT current_setting('search_path') FROM pg_sleep(0.1)", []
                        )
                        for _ in range(2 * SESSIONS)
                    )
                )
                for (value,) in found
            }
            assert (left, paths) == (0, {'"$user", public'})
