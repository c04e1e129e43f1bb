"""Fewer connections than the pool size, by limits of the server or of this machine: no call fails."""

from __future__ import annotations

import asyncio
import os
import re
import resource
import secrets
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import asyncpg
import pytest
from pydantic import SecretStr
from sqlalchemy import make_url

from backends import open_backend
from backends.errors import Unavailable
from backends.models import ItemChanges
from backends.protocols import Backend
from backends.sql import postgres_pool
from config import Settings
from tests.backends.methods import Rows, add_rows
from tests.backends.raw import opened
from tests.provision import Provision, connect_postgres

POOL_SIZE = 20
LIMIT = 3
CALLS = 50

OF_ROLE = "ALTER ROLE {role} CONNECTION LIMIT {limit}"
OF_DATABASE = "ALTER DATABASE {database} CONNECTION LIMIT {limit}"


class Role:
    """A user with a connection limit on the server.

    Attributes:
        settings: The settings of the shared database with this user.
    """

    def __init__(self, name: str, owner: Settings) -> None:
        self.name = name
        self._owner = owner
        url = make_url(owner.url).set(username=name)
        self.settings = owner.model_copy(
            update={
                "database_url": SecretStr(url.render_as_string(hide_password=False)),
                "db_pool_size": POOL_SIZE,
                "db_pool_timeout_seconds": 20,
            }
        )

    async def run(self, statement: str, limit: int = -1) -> None:
        """Run a statement as the owner of the database, with the user's name and the limit filled in."""
        connection = await connect_postgres(self._owner.url)
        database = make_url(self._owner.url).database
        try:
            await connection.execute(statement.format(role=self.name, database=database, limit=limit))
        finally:
            await connection.close()

    async def connect(self) -> asyncpg.Connection:
        """Open a connection as this user, as another process would."""
        return await connect_postgres(self.settings.url)


@pytest.fixture
async def role(postgres: Provision) -> AsyncIterator[Role]:
    """Create a user with the privileges of the service."""
    role = Role(f"eitherdb_user_{secrets.token_hex(6)}", postgres.settings)
    await postgres.clean()
    await role.run("CREATE ROLE {role} LOGIN")
    await role.run("GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO {role}")
    yield role
    await role.run(OF_DATABASE)
    await role.run("DROP OWNED BY {role}")
    await role.run("DROP ROLE {role}")


@asynccontextmanager
async def limited(settings: Settings) -> AsyncIterator[tuple[Backend, Rows]]:
    """Open a backend with rows."""
    async with opened(open_backend(settings)) as backend:
        yield backend, await add_rows(backend)


async def call_all(backend: Backend, rows: Rows) -> list[int]:
    """Make many concurrent calls, all of which must succeed.

    Return their numbers in order of completion.
    """
    answered = []

    async def call(number: int) -> None:
        if number % 2:
            await backend.items.list()
        else:
            await backend.items.update(rows.item.id, ItemChanges(title=str(number)))
        answered.append(number)

    await asyncio.gather(*(call(number) for number in range(CALLS)))
    return answered


@pytest.mark.parametrize("of", [OF_ROLE, OF_DATABASE])
async def test_fewer_connections_serve_all_calls(
    role: Role, of: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Calls wait for the available connections. The log reports the limit once."""
    async with limited(role.settings) as (backend, rows):
        await role.run(of, LIMIT)
        for _ in range(3):
            assert sorted(await call_all(backend, rows)) == list(range(CALLS))
    (message,) = (record.getMessage() for record in caplog.records if record.name == postgres_pool.__name__)
    # A database also counts the connections of other users.
    told = f"PostgreSQL gives this service [1-{LIMIT}] of the {POOL_SIZE} connections of DB_POOL_SIZE"
    assert re.fullmatch(f"{told}: too many .*; raise the limit or lower DB_POOL_SIZE", message)


async def test_calls_are_served_in_the_order_of_arrival(role: Role) -> None:
    """The call that has waited longest gets the connection, also while other connections are refused."""
    async with limited(role.settings) as (backend, rows):
        await role.run(OF_ROLE, 1)
        for _ in range(3):
            assert await call_all(backend, rows) == list(range(CALLS))


async def test_pool_grows_when_the_limit_is_raised(role: Role, monkeypatch: pytest.MonkeyPatch) -> None:
    """The pool tries again at intervals, and a new connection triggers the next attempt."""
    monkeypatch.setattr(postgres_pool, "RETRY_SECONDS", 0.2)
    async with limited(role.settings) as (backend, rows):
        await role.run(OF_ROLE, 1)
        await call_all(backend, rows)
        await role.run(OF_ROLE, POOL_SIZE)
        most = 0
        async with asyncio.timeout(20):
            while most < POOL_SIZE:
                calls = asyncio.create_task(call_all(backend, rows))
                while not calls.done():
                    most = max(most, backend.connections_in_use)
                    await asyncio.sleep(0)
                await calls


async def test_without_a_connection_a_call_waits_for_one(role: Role) -> None:
    """While other processes hold all connections, a call waits up to the pool's timeout."""
    settings = role.settings.model_copy(update={"db_pool_timeout_seconds": 1})
    async with limited(settings) as (backend, rows):
        await role.run("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = '{role}'")
        await role.run(OF_ROLE, 1)
        other = await role.connect()
        with pytest.raises(Unavailable, match=r"became free in time: .*too many connections for role"):
            await backend.items.get(rows.item.id)
        call = asyncio.create_task(backend.items.get(rows.item.id))
        await asyncio.sleep(0.2)
        await other.close()
        assert await call == rows.item


@contextmanager
def few_files(number: int) -> Iterator[None]:
    """Limit the number of files that this process may still open."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    highest = max(int(path.name) for path in Path("/proc/self/fd").iterdir())
    # Fill the gaps below the highest descriptor.
    spare = [os.open("/dev/null", os.O_RDONLY) for _ in range(highest)]
    highest = max(highest, *spare)
    resource.setrlimit(resource.RLIMIT_NOFILE, (highest + 1 + number, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)
        for each in spare:
            os.close(each)


async def test_few_file_descriptors_serve_all_calls(migrated: Provision) -> None:
    """Calls also wait when this process can't open another descriptor."""
    await migrated.clean()
    settings = migrated.settings.model_copy(update={"db_pool_size": POOL_SIZE})
    async with limited(settings) as (backend, rows):
        await backend.items.list()
        with few_files(LIMIT * 3):
            for _ in range(3):
                assert sorted(await call_all(backend, rows)) == list(range(CALLS))
