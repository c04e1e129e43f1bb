"""Creates the tables and collections of declared resources."""

from __future__ import annotations

from collections.abc import Sequence

from backends.models.resources import ResourceSpec
from backends.sql.resource_statements import resource_tables
from config import Settings
from tests.backends.raw import sql_connection


async def create_tables(settings: Settings, specs: Sequence[ResourceSpec]) -> None:
    """Create them in a migrated database."""
    tables = [table for name, table in resource_tables(specs).items() if name != "items"]
    async with sql_connection(settings) as connection:
        await connection.run_sync(lambda sync: tables[0].metadata.create_all(sync, tables=tables))
