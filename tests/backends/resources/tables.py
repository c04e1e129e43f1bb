"""Creates the tables and collections of declared resources."""

from __future__ import annotations

from collections.abc import Sequence

from backends.models.resources import ResourceSpec
from backends.mongo.driver import open_driver
from backends.mongo.resource_collections import collections_of
from backends.sql.resource_statements import resource_tables
from config import Settings
from migrations.mongo.operations import ensure_collection_of
from tests.backends.raw import sql_connection


async def create_tables(settings: Settings, specs: Sequence[ResourceSpec]) -> None:
    """Create them in a migrated database."""
    if settings.db_backend == "mongo":
        await _create_collections(settings, specs)
        return
    tables = [table for name, table in resource_tables(specs).items() if name != "items"]
    async with sql_connection(settings) as connection:
        await connection.run_sync(lambda sync: tables[0].metadata.create_all(sync, tables=tables))


async def _create_collections(settings: Settings, specs: Sequence[ResourceSpec]) -> None:
    driver = open_driver(settings)
    for each in collections_of(specs):
        await ensure_collection_of(driver.database, each)
    await driver.close()
