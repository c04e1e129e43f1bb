"""Fixtures of the HTTP tests: one application a backend, without a row in it when a test begins."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.api.routes import Scene
from tests.api.service import Account, Service, serve
from tests.conftest import ManualClock
from tests.provision import Provision


@pytest.fixture(scope="session")
async def running(provision: Provision) -> AsyncIterator[Service]:
    """Return the application that all tests of one backend share."""
    async with serve(provision, clock=ManualClock()) as service:
        yield service


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
