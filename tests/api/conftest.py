"""Fixtures of the HTTP tests: one application a backend, without a row in it when a test begins."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import pytest

from api import hashes
from eitherdb_contract.clock import ManualClock
from tests.api.declared import DECLARED
from tests.api.routes import Scene
from tests.api.service import CHEAP_HASHER, COSTLY_HASHER, Account, Service, serve, serve_declared
from tests.api.user_routers import routers
from tests.provision import Provision


@pytest.fixture(autouse=True)
def cheap_passwords(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let new hashes cost next to nothing; tests of the cost itself ask for `costly_passwords`."""
    monkeypatch.setattr(hashes, "_hasher", CHEAP_HASHER)


@pytest.fixture
def costly_passwords(monkeypatch: pytest.MonkeyPatch, cheap_passwords: None) -> None:
    """Let new hashes cost what they do in a deployment."""
    del cheap_passwords
    monkeypatch.setattr(hashes, "_hasher", COSTLY_HASHER)


@pytest.fixture(scope="session")
async def running(provision: Provision) -> AsyncIterator[Service]:
    """Return the application that all tests of one backend share."""
    async with AsyncExitStack() as stack:
        with pytest.MonkeyPatch.context() as patch:
            # As it starts, it makes the hash for those who sign in with an address that nobody has.
            patch.setattr(hashes, "_hasher", CHEAP_HASHER)
            service = await stack.enter_async_context(serve(provision, clock=ManualClock()))
        yield service


@pytest.fixture(scope="session")
async def declared(migrated: Provision) -> AsyncIterator[Service]:
    """Return an application with the resources of `declared` and routers, for all tests of one backend.

    Its database is not emptied between tests. Each test makes its own users.
    """
    async with AsyncExitStack() as stack:
        with pytest.MonkeyPatch.context() as patch:
            # As in `running`, and not for as long as the application lives: other tests share the process.
            patch.setattr(hashes, "_hasher", CHEAP_HASHER)
            service = await stack.enter_async_context(serve_declared(migrated, DECLARED, routers=routers))
        yield service


@pytest.fixture
async def costly(provision: Provision, service: Service, costly_passwords: None) -> AsyncIterator[Service]:
    """Return an application on the same database in which a login costs what it does in a deployment."""
    del costly_passwords
    async with serve(provision, clock=service.clock) as costly:
        yield costly


@pytest.fixture
async def service(provision: Provision, running: Service) -> AsyncIterator[Service]:
    """Return the shared application, empty; afterwards it may hold no connection."""
    await provision.clean()
    running.clock.reset()
    yield running
    assert running.backend.connections_in_use == 0, "the test left a connection checked out"


@pytest.fixture
async def scene(service: Service, request: pytest.FixtureRequest) -> Scene:
    """Return people and what they have, to call routes with."""
    callspec = getattr(request.node, "callspec", None)
    return await Scene.make(service, callspec.params.get("route") if callspec else None)


@pytest.fixture
async def user(service: Service) -> Account:
    """Return a user who is signed in."""
    return await service.user("user@example.com", full_name="User")


@pytest.fixture
async def superuser(service: Service) -> Account:
    """Return a superuser who is signed in."""
    return await service.superuser("superuser@example.com", full_name="Superuser")
