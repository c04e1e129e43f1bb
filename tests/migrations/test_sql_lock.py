"""SQL's migration lock: it ends with its transaction; waiting has a timeout and logs the holder."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from pydantic import SecretStr
from sqlalchemy import make_url

from backends.errors import Conflict
from backends.sql.engine import create_engine
from config import Settings
from migrations import open_migrator
from migrations.sql import migrator
from migrations.sql.lock import ADVISORY_LOCK_KEY, migration_transaction
from tests.backends.raw import sql_connection
from tests.cli.command import call_async, database_on, free_port
from tests.migrations.numbers import every_number
from tests.pgbouncer import pgbouncer
from tests.provision import PostgresProvision, Provision, Servers

SHORT_WAIT_SECONDS = 1.3
TERMINATE = b"X\0\0\0\4"
"""https://www.postgresql.org/docs/current/protocol-message-formats.html: Terminate."""
HELD = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'"


@asynccontextmanager
async def another_migration(settings: Settings) -> AsyncIterator[str]:
    """Hold the lock as another instance does; yield the description of the holder."""
    engine = create_engine(settings)
    async with engine.connect() as connection, migration_transaction(connection, wait_seconds=5):
        if settings.db_backend == "sqlite":
            yield f"another process that writes to {engine.url.database}"
        else:
            pid = (await connection.exec_driver_sql("SELECT pg_backend_pid()")).scalar_one()
            yield f"the PostgreSQL session with pid {pid} (application eitherdb, since "
    await engine.dispose()


def shorten(monkeypatch: pytest.MonkeyPatch) -> None:
    """Shorten the timeout for the lock."""
    monkeypatch.setattr(migrator, "LOCK_WAIT_SECONDS", SHORT_WAIT_SECONDS)


async def test_wait_for_the_lock_logs_its_holder_once(
    sql: Provision, caplog: pytest.LogCaptureFixture
) -> None:
    """One line is logged after a second; the migration continues when the lock is free."""
    async with sql.empty_database() as settings:
        async with another_migration(settings) as holder:
            waiting = asyncio.create_task(open_migrator(settings).upgrade())
            while not caplog.records:  # noqa: ASYNC110 - a log sets no event
                await asyncio.sleep(0.05)
            await asyncio.sleep(0.3)
        assert await waiting == every_number(settings)
    (record,) = caplog.records
    assert record.levelno == logging.WARNING
    told = record.getMessage()
    assert told.startswith(f"waiting up to 600 seconds for the migration lock: {holder}")
    assert told.endswith(" has it")


async def test_wait_for_the_lock_ends_with_an_error_that_names_the_holder(
    sql: Provision, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The command exits with code 2, and nothing is changed."""
    shorten(monkeypatch)
    async with sql.empty_database() as settings:
        async with another_migration(settings) as holder:
            refused = await call_async(tmp_path, "migrate", "upgrade", settings=settings)
        *_, line = refused.err.splitlines()
        assert (refused.exit_code, refused.out) == (2, "")
        assert line.startswith("eitherdb: ")
        assert f"the migration lock was not free for {SHORT_WAIT_SECONDS:.0f} seconds: {holder}" in line
        assert await open_migrator(settings).current() is None


async def test_lock_of_an_earlier_version_is_waited_for(
    servers: Servers, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Earlier versions lock per session; their lock excludes a migration of this version."""
    shorten(monkeypatch)
    async with database_on(PostgresProvision(servers)) as settings, sql_connection(settings) as earlier:
        await earlier.exec_driver_sql(f"SELECT pg_advisory_lock({ADVISORY_LOCK_KEY})")
        with pytest.raises(Conflict, match="the PostgreSQL session with pid"):
            await open_migrator(settings).upgrade()
        await earlier.exec_driver_sql(f"SELECT pg_advisory_unlock({ADVISORY_LOCK_KEY})")
        assert await open_migrator(settings).upgrade()


async def test_table_that_stays_locked_ends_the_migration(
    servers: Servers, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A table lock of an open transaction ends the migration after the timeout."""
    async with database_on(PostgresProvision(servers)) as settings, sql_connection(settings) as other:
        await open_migrator(settings).upgrade()
        await other.exec_driver_sql("BEGIN")
        await other.exec_driver_sql("SELECT count(*) FROM items")
        shorten(monkeypatch)
        async with asyncio.timeout(20):
            with pytest.raises(Conflict, match="locked"):
                await open_migrator(settings).downgrade("base")
        await other.exec_driver_sql("ROLLBACK")
        assert await open_migrator(settings).downgrade("base")


# -- connection poolers --------------------------------------------------------------------------


class SessionPool:
    """A TCP proxy that drops the client's Terminate message: the session stays open, as in a pool."""

    def __init__(self, url: str) -> None:
        self._url = make_url(url)
        self._servers: list[asyncio.StreamWriter] = []
        self._tasks: set[asyncio.Task[None]] = set()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Forward both directions, but not the Terminate message."""
        folder, port = self._url.query["host"], self._url.query["port"]
        answers, server = await asyncio.open_unix_connection(f"{folder}/.s.PGSQL.{port}")
        self._servers.append(server)
        answering = asyncio.create_task(self._answer(answers, writer))
        self._tasks.add(answering)
        while (data := await reader.read(65536)) and not data.endswith(TERMINATE):
            server.write(data)
        server.write(data.removesuffix(TERMINATE))
        writer.close()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(65536):
            writer.write(data)

    def close(self) -> None:
        """Close the sessions."""
        for task in self._tasks:
            task.cancel()
        for server in self._servers:
            server.close()


@asynccontextmanager
async def behind_session_pool(settings: Settings) -> AsyncIterator[Settings]:
    """Yield the settings of the same database behind a `SessionPool`."""
    proxy, port = SessionPool(settings.url), free_port()
    listening = await asyncio.start_server(proxy.serve, "127.0.0.1", port)
    url = make_url(settings.url).difference_update_query(["host", "port"]).set(host="127.0.0.1", port=port)
    text = url.render_as_string(hide_password=False)
    yield settings.model_copy(update={"database_url": SecretStr(text)})
    listening.close()
    proxy.close()


async def test_session_that_outlives_a_migration_keeps_no_lock(servers: Servers) -> None:
    """In a session that a pooler keeps open, a finished migration leaves no lock."""
    async with database_on(PostgresProvision(servers)) as direct, behind_session_pool(direct) as settings:
        async with asyncio.timeout(20):
            every = await open_migrator(settings).upgrade()
            assert await open_migrator(settings).upgrade() == []
            assert await open_migrator(settings).check() == []
            assert await open_migrator(settings).downgrade("base") == every[::-1]
        async with sql_connection(direct) as connection:
            sessions = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
            assert (await connection.exec_driver_sql(sessions)).scalar_one() > 4, "no session was kept"
            assert (await connection.exec_driver_sql(HELD)).scalar_one() == 0


@pytest.mark.pgbouncer
async def test_migrations_are_serialised_behind_pgbouncer(servers: Servers) -> None:
    """Upgrade, downgrade and concurrent upgrades work through one session in transaction pooling."""
    async with database_on(PostgresProvision(servers)) as direct:
        with pgbouncer(direct.url, "transaction", default_pool_size=1) as url:
            settings = direct.model_copy(update={"database_url": SecretStr(url)})
            async with asyncio.timeout(60):
                every = await open_migrator(settings).upgrade()
                assert await open_migrator(settings).downgrade("base") == every[::-1]
                applied = await asyncio.gather(*(open_migrator(settings).upgrade() for _ in range(3)))
                assert sorted(applied) == [[], [], every]
                assert await open_migrator(settings).check() == []


async def test_migration_leaves_no_named_prepared_statement(servers: Servers) -> None:
    """Behind a pooler, a named statement would collide with that of the session's next client."""
    async with database_on(PostgresProvision(servers)) as settings, sql_connection(settings) as connection:
        await connection.exec_driver_sql("SELECT typname, typlen FROM pg_type WHERE typlen > 0")
        query = "SELECT count(*) FROM pg_prepared_statements"
        assert (await connection.exec_driver_sql(query)).scalar_one() == 0
