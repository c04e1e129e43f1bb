"""A backend with the declared resources, on a database of its own."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from backends import open_backend
from backends.models import NewUser, User
from backends.protocols import Backend
from migrations import open_migrator
from migrations.resources.history import history_of
from tests.backends.raw import opened
from tests.backends.resources.declared import DECLARED
from tests.provision import Provision


@asynccontextmanager
async def opened_library(provision: Provision) -> AsyncIterator[Backend]:
    """Open a database with the tables of the declared resources."""
    async with provision.empty_database() as settings:
        specs = [cls.__resource__ for cls in DECLARED]
        await open_migrator(settings, [history_of("declared", specs)]).upgrade()
        async with opened(open_backend(settings, resources=DECLARED)) as backend:
            yield backend


@pytest.fixture(scope="session")
async def library(migrated: Provision) -> AsyncIterator[Backend]:
    """Return a backend with the resources of `declared`. Each test has owners of its own."""
    async with opened_library(migrated) as backend:
        yield backend


@pytest.fixture
async def owner(library: Backend) -> User:
    """Return a new user."""
    number = (await library.users.list(limit=0)).count
    return await library.users.add(NewUser(email=f"u{number}@example.com", hashed_password="x"))
