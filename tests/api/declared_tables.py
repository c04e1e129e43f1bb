"""The tables and collections of declared resources, for tests without a revision of their own."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pymongo import AsyncMongoClient
from sqlalchemy import MetaData, create_engine
from sqlalchemy.ext.asyncio import create_async_engine

from backends.models.resources import ResourceSpec
from backends.mongo.resource_collections import collection_of
from backends.sql.schema import METADATA, USERS
from backends.sql.tables import table_of
from config import Settings
from migrations.mongo.operations import ensure_collection, ensure_index


async def create_tables(settings: Settings, specs: Sequence[ResourceSpec]) -> None:
    """Create what the resources need in a migrated database."""
    if settings.db_backend == "mongo":
        await _create_collections(settings, specs)
        return
    metadata = MetaData(naming_convention=METADATA.naming_convention)
    for spec in specs:
        table_of(spec, metadata, {"users": USERS})
    if settings.db_backend == "sqlite":
        engine = create_engine(settings.url)
        metadata.create_all(engine)
        engine.dispose()
        return
    asynchronous = create_async_engine(settings.url.replace("postgresql://", "postgresql+asyncpg://"))
    async with asynchronous.begin() as connection:
        await connection.run_sync(metadata.create_all)
    await asynchronous.dispose()


async def _create_collections(settings: Settings, specs: Sequence[ResourceSpec]) -> None:
    client: AsyncMongoClient[Any] = AsyncMongoClient(settings.url)
    async with client:
        database: Any = client.get_default_database()
        targets = {field.target for spec in specs for field in spec.references}
        for collection in [collection_of(spec, is_referenced=spec.name in targets) for spec in specs]:
            await ensure_collection(database, collection.name, validator=collection.validator)
            for index in collection.indexes:
                await ensure_index(database, collection.name, index)
