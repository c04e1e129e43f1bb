"""What is peculiar to each dialect when it is connected to; repositories and migrations both start here."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from sqlalchemy import URL, event, make_url
from sqlalchemy.exc import ArgumentError, OperationalError
from sqlalchemy.pool import NullPool

from backends.errors import BackendError

if TYPE_CHECKING:
    from sqlalchemy.engine.interfaces import DBAPIConnection
    from sqlalchemy.ext.asyncio import AsyncEngine

    from config import Settings

T = TypeVar("T")

_DRIVERS = {"sqlite": "sqlite+aiosqlite", "postgres": "postgresql+asyncpg"}


def database_url(settings: Settings) -> URL:
    """Return the URL with the driver that EitherDB uses, whatever spelling of the scheme was given.

    Raises:
        BackendError: The rest of the URL can't be parsed.
    """
    try:
        url = make_url(settings.url).set(drivername=_DRIVERS[settings.db_backend])
    except (ArgumentError, ValueError):
        raise BackendError("the URL can't be parsed") from None
    if settings.db_backend == "sqlite" and url.host:
        raise BackendError("SQLite has no host: there must be three slashes before a relative path")
    # libpq's name, which people paste from their provider; asyncpg calls the same thing `ssl`.
    if "sslmode" in url.query:
        url = url.update_query_dict({"ssl": url.query["sslmode"]}).difference_update_query(["sslmode"])
    # A setting of the server's sessions, not an option of the driver: see `postgres_options`.
    return url.difference_update_query(["search_path"])


def create_engine(settings: Settings) -> AsyncEngine:
    """Make the engine that migrations run on: Alembic works on SQLAlchemy's connections.

    Every statement is its own transaction, unless one is begun. A command has no time limit; and SQLite
    has no foreign keys, because a migration that rebuilds a table drops the old one, which would cascade.
    """
    # Imports SQLAlchemy's ORM, which a service that runs no migration can do without.
    from sqlalchemy.ext.asyncio import create_async_engine  # noqa: PLC0415

    url = database_url(settings)
    options: dict[str, Any] = {
        "isolation_level": "AUTOCOMMIT",
        "poolclass": NullPool,
        "hide_parameters": True,
    }
    if settings.db_backend == "sqlite":
        make_folder(url)
        engine = create_async_engine(
            url, connect_args={"timeout": settings.db_command_timeout_seconds}, **options
        )
        event.listen(
            engine.sync_engine, "connect", lambda connection, _: set_pragmas(connection, foreign_keys=False)
        )
        return engine
    return create_async_engine(
        url, connect_args=postgres_options(settings) | {"command_timeout": None}, **options
    )


def postgres_options(settings: Settings) -> dict[str, Any]:
    """Return what asyncpg is told besides the URL: among it the schema that `?search_path=` names."""
    session = {"application_name": "eitherdb"}
    search_path = make_url(settings.url).query.get("search_path")
    if search_path is not None:
        session["search_path"] = str(search_path)
    return {
        "timeout": settings.db_connect_timeout_seconds,
        "command_timeout": settings.db_command_timeout_seconds,
        "server_settings": session,
    }


async def first_connection(connect: Callable[[], Awaitable[T]], *, timeout_seconds: float) -> T:
    """Connect, and wait for a lock where SQLite itself does not: when it changes a new file to WAL.

    Two instances that start on one new file meet there. Later connections find it changed.
    """
    loop = asyncio.get_running_loop()
    deadline = loop.time() + timeout_seconds
    while True:
        try:
            return await connect()
        except (OperationalError, sqlite3.OperationalError) as exc:
            error = exc.orig if isinstance(exc, OperationalError) else exc
            if getattr(error, "sqlite_errorname", "") != "SQLITE_BUSY" or loop.time() > deadline:
                raise
            await asyncio.sleep(0.02)


def make_folder(url: URL) -> None:
    """Make the last folder of the path, as the default's `.data`: a longer way is likely a slip.

    Raises:
        BackendError: It can't be made.
    """
    file = Path(url.database or "")
    try:
        file.resolve().parent.mkdir(exist_ok=True)
    except OSError as exc:
        raise BackendError(f"the folder of {file} can't be made: {exc.strerror}") from exc


def set_pragmas(connection: DBAPIConnection | sqlite3.Connection, *, foreign_keys: bool) -> None:
    """Give a new SQLite connection what PostgreSQL has by itself."""
    cursor = connection.cursor()
    # Readers don't block the writer, and the writer doesn't block them.
    cursor.execute("PRAGMA journal_mode=WAL")
    # A commit that was answered survives a power cut; NORMAL would lose the last ones in WAL mode.
    cursor.execute("PRAGMA synchronous=FULL")
    # An eighth of the default: a connection of each thread has a cache of its own, besides the system's,
    # which is emptied whenever another one has written.
    cursor.execute("PRAGMA cache_size=-250")
    cursor.execute(f"PRAGMA foreign_keys={'ON' if foreign_keys else 'OFF'}")
    cursor.close()
