"""The number of round trips of each method. They are counted instead of timed."""

from __future__ import annotations

import inspect
from collections.abc import AsyncIterator

import pytest
from pydantic import SecretStr

from backends import open_backend
from backends.protocols import (
    AccountRepository,
    Backend,
    CounterRepository,
    ResourceRepository,
    UserRepository,
)
from tests.backends.methods import METHODS, REFUSALS, Rows, add_rows
from tests.backends.raw import opened
from tests.backends.record import Command, connections_of, names, recorded, statements
from tests.provision import Provision
from tests.tcp_proxy import tcp_proxy

REPOSITORIES = {
    "users": UserRepository,
    "items": ResourceRepository,
    "accounts": AccountRepository,
    "counters": CounterRepository,
}


def test_every_method_is_counted() -> None:
    """Every method of a protocol has a row here."""
    methods = {
        f"{repository}.{name}"
        for repository, protocol in REPOSITORIES.items()
        for name, value in vars(protocol).items()
        if inspect.iscoroutinefunction(value) and not name.startswith("_")
    }
    # Items have no unique group.
    assert methods - {"items.find_by"} == {name.partition(" ")[0] for name in METHODS}


# -- SQL -----------------------------------------------------------------------------------------


@pytest.fixture
async def one_connection(sql: Provision) -> AsyncIterator[tuple[Backend, Rows]]:
    """Return a backend whose pool has one connection, and its rows."""
    await sql.clean()
    async with opened(sql.open(sql.settings.model_copy(update={"db_pool_size": 1}))) as backend:
        yield backend, await add_rows(backend)


@pytest.mark.parametrize("name", METHODS)
async def test_method_sends_its_number_of_statements(
    name: str, sql: Provision, one_connection: tuple[Backend, Rows]
) -> None:
    """A read or write of one row is one statement.

    Methods that need more declare it, with BEGIN and COMMIT.
    """
    backend, rows = one_connection
    call, expected, _ = METHODS[name]
    async with statements(backend) as ran:
        await call(backend, rows)
    assert len(ran) == (expected if isinstance(expected, int) else expected[sql.name == "postgres"]), ran


@pytest.mark.parametrize("name", REFUSALS)
async def test_refusal_sends_its_number_of_statements(
    name: str, sql: Provision, one_connection: tuple[Backend, Rows]
) -> None:
    """A refused call is not retried."""
    backend, rows = one_connection
    call, error, expected, _ = REFUSALS[name]
    async with statements(backend) as ran:
        with pytest.raises(error):
            await call(backend, rows)
    assert len(ran) == (expected if isinstance(expected, int) else expected[sql.name == "postgres"]), ran


# -- MongoDB -------------------------------------------------------------------------------------


@pytest.fixture
async def watched(mongo: Provision) -> AsyncIterator[tuple[Backend, Rows, list[Command]]]:
    """Return a backend, its rows and the list of the commands that it sends from now on."""
    await mongo.clean()
    async with recorded(mongo) as (backend, commands):
        rows = await add_rows(backend)
        commands.clear()
        yield backend, rows, commands


@pytest.mark.parametrize("name", METHODS)
async def test_method_sends_its_commands(name: str, watched: tuple[Backend, Rows, list[Command]]) -> None:
    """A read is one command, also a list with its count. Methods that need more declare it."""
    backend, rows, commands = watched
    call, _, expected = METHODS[name]
    await call(backend, rows)
    assert names(commands) == expected


@pytest.mark.parametrize("name", REFUSALS)
async def test_refusal_sends_its_commands(name: str, watched: tuple[Backend, Rows, list[Command]]) -> None:
    """A refused call is not retried."""
    backend, rows, commands = watched
    call, error, _, expected = REFUSALS[name]
    with pytest.raises(error):
        await call(backend, rows)
    assert names(commands) == expected


@pytest.mark.parametrize("behind_pooler", [False, True])
async def test_statement_is_one_round_trip_and_has_a_name_where_it_may(
    postgres: Provision, *, behind_pooler: bool
) -> None:
    """On a session of its own it is prepared once; behind a pooler it is parsed with each execution."""
    await postgres.clean()
    async with tcp_proxy(postgres.settings.url) as address:
        url = address.url + ("&pgbouncer=true" if behind_pooler else "")
        settings = postgres.settings.model_copy(update={"database_url": SecretStr(url), "db_pool_size": 1})
        async with opened(open_backend(settings)) as backend:
            rows = await add_rows(backend)
            prepared = "SELECT count(*) FROM pg_prepared_statements WHERE statement LIKE '%items%'"
            await backend.items.get(rows.item.id)
            before = address.sent
            for _ in range(10):
                await backend.items.get(rows.item.id)
            assert address.sent == before + 10
            ((kept,),) = await connections_of(backend)._fetch(prepared, [])
            assert (kept == 0) == behind_pooler
