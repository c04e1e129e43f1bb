"""Fixtures for tests of one kind of database, on all backends of that kind."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from eitherdb_contract.selection import run_on_backends
from tests.conftest import BACKEND_NAMES, beyond_one_backend, find_provision, not_on_its_drivers
from tests.provision import Provision, Servers

KINDS = {
    "sql": ("sqlite", "postgres"),
    "postgres": ("postgres",),
    "mongo": ("mongo-motor", "mongo-pymongo"),
}


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Parametrize each test that uses a kind's fixture with the selected backends of that kind."""
    for fixture, names in KINDS.items():
        if fixture in metafunc.fixturenames:
            others = {name: f"is about {fixture} alone" for name in BACKEND_NAMES if name not in names}
            reasons = others | not_on_its_drivers(metafunc, names)
            reasons |= beyond_one_backend(metafunc, reasons)
            run_on_backends(metafunc, fixture, BACKEND_NAMES, left_out=reasons)


async def _started(name: str, servers: Servers) -> AsyncIterator[Provision]:
    provision = find_provision(name, servers)
    await provision.start()
    yield provision
    await provision.stop()


@pytest.fixture(scope="session")
async def sql(request: pytest.FixtureRequest, servers: Servers) -> AsyncIterator[Provision]:
    """Return a migrated SQLite or PostgreSQL database."""
    async for provision in _started(request.param, servers):
        yield provision


@pytest.fixture(scope="session")
async def postgres(request: pytest.FixtureRequest, servers: Servers) -> AsyncIterator[Provision]:
    """Return a migrated PostgreSQL database."""
    async for provision in _started(request.param, servers):
        yield provision


@pytest.fixture(scope="session")
async def mongo(request: pytest.FixtureRequest, servers: Servers) -> AsyncIterator[Provision]:
    """Return a migrated MongoDB database, for one of the two drivers."""
    async for provision in _started(request.param, servers):
        yield provision
