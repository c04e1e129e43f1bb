"""Fixtures: databases of one kind (`sql`, `postgres`, `mongo`), and filled ones for query plans."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from migrations import open_migrator
from tests.backends.fill import Filled, fill_mongo, fill_sql
from tests.backends.kinds import mongo, postgres, pytest_generate_tests, sql
from tests.backends.mapped_shop import filled_shop, shop
from tests.provision import Provision

__all__ = ["filled_shop", "mongo", "postgres", "pytest_generate_tests", "shop", "sql"]


@pytest.fixture(scope="session")
async def filled_sql(sql: Provision) -> AsyncIterator[Filled]:
    """Return a database with ten thousand rows per table. Tests change only a few of them."""
    async with sql.empty_database() as settings:
        await open_migrator(settings).upgrade()
        yield await fill_sql(settings)


@pytest.fixture(scope="session")
async def filled_mongo(mongo: Provision) -> AsyncIterator[Filled]:
    """Return a database with ten thousand documents per collection. Tests change only a few of them."""
    async with mongo.empty_database() as settings:
        await open_migrator(settings).upgrade()
        yield await fill_mongo(settings)
