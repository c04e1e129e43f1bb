"""Access to a database without the repositories: stored values, and faults that no repository causes."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager
from typing import Any

from pymongo import AsyncMongoClient
from pymongo.asynchronous.database import AsyncDatabase
from sqlalchemy.ext.asyncio import AsyncConnection

from backends.protocols import Backend
from backends.sql.engine import create_engine
from config import Settings

MongoDatabase = AsyncDatabase[dict[str, Any]]


@asynccontextmanager
async def opened(opening: Awaitable[Backend]) -> AsyncIterator[Backend]:
    """Close the backend at the end in every case. No connection may be in use then."""
    backend = await opening
    try:
        yield backend
        assert backend.connections_in_use == 0, "a connection stayed checked out"
    finally:
        await backend.close()


@asynccontextmanager
async def sql_connection(settings: Settings) -> AsyncIterator[AsyncConnection]:
    """Connect as migrations do: in autocommit mode, with SQLite's foreign keys off."""
    engine = create_engine(settings)
    try:
        async with engine.connect() as connection:
            yield connection
    finally:
        await engine.dispose()


@asynccontextmanager
async def mongo_database(settings: Settings) -> AsyncIterator[MongoDatabase]:
    """Connect with PyMongo's client, whichever driver the settings name."""
    async with AsyncMongoClient[dict[str, Any]](settings.url) as client:
        yield client.get_default_database("eitherdb")


@asynccontextmanager
async def failing_commands(
    database: MongoDatabase, *commands: str, times: int | None = None, skip: int = 0, **fault: Any
) -> AsyncIterator[None]:
    """Let mongod fail these commands of EitherDB.

    https://github.com/mongodb/mongo/wiki/The-%22failCommand%22-fail-point

    Args:
        database: Any database on the server.
        commands: The names of the commands.
        times: The number of failures; None for no limit.
        skip: The number of commands that succeed first, if there is no limit.
        fault: The failure, as data of the fail point.
    """
    mode: Any = {"times": times} if times else {"skip": skip} if skip else "alwaysOn"
    data = {"failCommands": commands, "appName": "eitherdb", **fault}
    admin = database.client.admin
    await admin.command("configureFailPoint", "failCommand", mode=mode, data=data)
    try:
        yield
    finally:
        await admin.command("configureFailPoint", "failCommand", mode="off")
