"""Fixtures for tests that are about one kind of database: `sql` and `mongo`, each on all its backends."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.conftest import find_provision, on_its_drivers
from tests.provision import Provision, Servers

KINDS = {"sql": ("sqlite", "postgres"), "mongo": ("mongo-motor", "mongo-pymongo")}


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run each test that asks for a kind once a selected backend of that kind."""
    selected = metafunc.config.getoption("--backends").split(",")
    for fixture, names in KINDS.items():
        if fixture in metafunc.fixturenames:
            chosen = on_its_drivers(metafunc, [name for name in names if name in selected])
            metafunc.parametrize(fixture, chosen, indirect=True, scope="session")


async def _started(name: str, servers: Servers) -> AsyncIterator[Provision]:
    provision = find_provision(name, servers)
    await provision.start()
    yield provision
    await provision.stop()


@pytest.fixture(scope="session")
async def sql(request: pytest.FixtureRequest, servers: Servers) -> AsyncIterator[Provision]:
    """Return SQLite's or PostgreSQL's migrated database."""
    async for provision in _started(request.param, servers):
        yield provision


@pytest.fixture(scope="session")
async def mongo(request: pytest.FixtureRequest, servers: Servers) -> AsyncIterator[Provision]:
    """Return a migrated MongoDB database, to be opened with one of the two drivers."""
    async for provision in _started(request.param, servers):
        yield provision
