"""Creates the tables and collections of declared resources."""

from __future__ import annotations

from collections.abc import Sequence

from backends.models.resources import ResourceSpec
from backends.mongo.resource_collections import collection_of
from backends.sql.resource_statements import resource_tables
from config import Settings
from tests.backends.raw import mongo_database, sql_connection


async def create_tables(settings: Settings, specs: Sequence[ResourceSpec]) -> None:
    """Create them in a migrated database."""
    if settings.db_backend == "mongo":
        await _create_collections(settings, specs)
        return
    tables = [table for name, table in resource_tables(specs).items() if name != "items"]
    async with sql_connection(settings) as connection:
        await connection.run_sync(lambda sync: tables[0].metadata.create_all(sync, tables=tables))


async def _create_collections(settings: Settings, specs: Sequence[ResourceSpec]) -> None:
    targets = {field.target for spec in specs for field in spec.references}
    async with mongo_database(settings) as database:
        for spec in specs:
            collection = collection_of(spec, is_referenced=spec.name in targets)
            await database.create_collection(spec.name, validator=collection.validator)
            for index in collection.indexes:
                await database[spec.name].create_index(list(index.keys), **index.options)
