"""The tables of declared resources, for tests that have no revision of their own."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import MetaData, create_engine
from sqlalchemy.ext.asyncio import create_async_engine

from backends.models.resources import ResourceSpec
from backends.sql.schema import METADATA, USERS
from backends.sql.tables import table_of
from config import Settings


async def create_tables(settings: Settings, specs: Sequence[ResourceSpec]) -> None:
    """Create what the resources need in a migrated database."""
    metadata = MetaData(naming_convention=METADATA.naming_convention)
    for spec in specs:
        table_of(spec, metadata, {"users": USERS})
    if settings.db_backend == "sqlite":
        engine = create_engine(settings.url)
        metadata.create_all(engine)
        engine.dispose()
        return
    url = settings.url.replace("postgresql://", "postgresql+asyncpg://")
    asynchronous = create_async_engine(url)
    async with asynchronous.begin() as connection:
        await connection.run_sync(metadata.create_all)
    await asynchronous.dispose()
