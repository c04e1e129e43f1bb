"""PostgreSQL aborts a statement because of another transaction: every write is retried."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import asyncpg
import pytest
from sqlalchemy import text

from backends.errors import Conflict
from backends.protocols import Backend
from backends.retry import TRIES
from backends.sql.schema import METADATA
from tests.backends.methods import METHODS, Rows, add_rows
from tests.backends.raw import opened, sql_connection
from tests.provision import Provision

WRITES = [
    name
    for name, (_, _, commands) in METHODS.items()
    if {"insert", "update", "delete", "findAndModify"} & set(commands)
]

COLLIDE = """
CREATE SEQUENCE collisions;
CREATE FUNCTION collide() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF nextval('collisions') <= {times} THEN
        RAISE EXCEPTION USING ERRCODE = '{code}';
    END IF;
    RETURN NULL;
END $$;
"""
TRIGGER = "CREATE TRIGGER collide BEFORE INSERT OR UPDATE OR DELETE ON {} EXECUTE FUNCTION collide()"


@asynccontextmanager
async def collisions(postgres: Provision, code: str, *, times: int) -> AsyncIterator[None]:
    """Let the server fail this many changes with an error."""
    async with sql_connection(postgres.settings) as connection:
        statements = [
            COLLIDE.format(code=code, times=times),
            *(TRIGGER.format(table) for table in METADATA.tables),
        ]
        driver = (await connection.get_raw_connection()).driver_connection
        assert driver is not None
        await driver.execute(";".join(statements))
        try:
            yield
            (made,) = await driver.fetchrow("SELECT last_value FROM collisions")
            assert made > times, "the calls changed nothing that could collide"
        finally:
            await connection.execute(text("DROP FUNCTION collide CASCADE"))
            await connection.execute(text("DROP SEQUENCE collisions"))


@pytest.fixture
async def scenario(postgres: Provision) -> AsyncIterator[tuple[Backend, Rows]]:
    """Return a backend and its rows."""
    await postgres.clean()
    async with opened(postgres.open()) as backend:
        yield backend, await add_rows(backend)


@pytest.mark.parametrize("name", WRITES)
async def test_write_that_collides_is_retried(
    name: str, postgres: Provision, scenario: tuple[Backend, Rows]
) -> None:
    """The caller doesn't notice the conflict."""
    backend, rows = scenario
    async with collisions(postgres, asyncpg.SerializationError.sqlstate, times=TRIES - 1):
        await METHODS[name][0](backend, rows)


@pytest.mark.parametrize(
    "error", [asyncpg.SerializationError, asyncpg.DeadlockDetectedError, asyncpg.LockNotAvailableError]
)
async def test_posting_that_always_collides_is_given_up(
    error: type[asyncpg.PostgresError], postgres: Provision, scenario: tuple[Backend, Rows]
) -> None:
    """After the last attempt Conflict is raised and nothing has changed; the next call succeeds."""
    backend, rows = scenario
    deposit = METHODS["accounts.deposit"][0]
    before = await backend.accounts.get(rows.full.id)
    async with collisions(postgres, error.sqlstate, times=TRIES):
        with pytest.raises(Conflict):
            await deposit(backend, rows)
        assert await backend.accounts.get(rows.full.id) == before
        assert (await backend.accounts.transfers()).data == [rows.entry]
        await deposit(backend, rows)
