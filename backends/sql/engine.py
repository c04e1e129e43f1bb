"""The engine and what is peculiar to each dialect; repositories and migrations both start here."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlalchemy import URL, event, make_url
from sqlalchemy.exc import ArgumentError, OperationalError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine
from sqlalchemy.pool import AsyncAdaptedQueuePool

from backends.errors import BackendError

if TYPE_CHECKING:
    from sqlalchemy.engine.interfaces import DBAPIConnection
    from sqlalchemy.pool import ConnectionPoolEntry

    from config import Settings

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
    return url


def create_engine(settings: Settings, *, for_migrations: bool = False) -> AsyncEngine:
    """Make an engine in which every statement is its own transaction, unless one is begun.

    Most of what the repositories do is a single statement, so AUTOCOMMIT saves the round trips of BEGIN and
    COMMIT, and there is nothing for the pool to roll back when a connection returns.

    Args:
        settings: URL, pool size and time limits.
        for_migrations: No time limit for a command; and on SQLite no foreign keys, because a migration
            that rebuilds a table drops the old one, which would cascade.
    """
    url = database_url(settings)
    options: dict[str, Any] = {
        "isolation_level": "AUTOCOMMIT",
        "poolclass": AsyncAdaptedQueuePool,
        "pool_size": settings.db_pool_size,
        "max_overflow": 0,
        "pool_timeout": settings.db_pool_timeout_seconds,
        "pool_reset_on_return": None,
        "hide_parameters": True,
    }
    if settings.db_backend == "sqlite":
        _make_folder(Path(url.database or ""))
        engine = create_async_engine(
            url, connect_args={"timeout": settings.db_command_timeout_seconds}, **options
        )
        event.listen(engine.sync_engine, "connect", _sqlite_pragmas(foreign_keys=not for_migrations))
        return engine
    return create_async_engine(
        url,
        connect_args={
            "timeout": settings.db_connect_timeout_seconds,
            "command_timeout": None if for_migrations else settings.db_command_timeout_seconds,
            "server_settings": {"application_name": "eitherdb"},
        },
        **options,
    )


async def first_connection(engine: AsyncEngine, settings: Settings) -> AsyncConnection:
    """Connect, and wait for a lock where SQLite itself does not: when it changes a new file to WAL.

    Two instances that start on one new file meet there. Later connections find it changed.
    """
    loop = asyncio.get_running_loop()
    deadline = loop.time() + settings.db_command_timeout_seconds
    while True:
        try:
            return await engine.connect()
        except OperationalError as exc:
            if getattr(exc.orig, "sqlite_errorname", "") != "SQLITE_BUSY" or loop.time() > deadline:
                raise
            await asyncio.sleep(0.02)


def _make_folder(file: Path) -> None:
    """Make the last folder of the path, as the default's `.data`: a longer way is likely a slip."""
    try:
        file.resolve().parent.mkdir(exist_ok=True)
    except OSError as exc:
        raise BackendError(f"the folder of {file} can't be made: {exc.strerror}") from exc


def _sqlite_pragmas(*, foreign_keys: bool) -> Any:
    """Return a listener that gives a new SQLite connection what PostgreSQL has by itself."""

    def set_pragmas(connection: DBAPIConnection, _entry: ConnectionPoolEntry) -> None:
        cursor = connection.cursor()
        # Readers don't block the writer, and the writer doesn't block them.
        cursor.execute("PRAGMA journal_mode=WAL")
        # A commit that was answered survives a power cut; NORMAL would lose the last ones in WAL mode.
        cursor.execute("PRAGMA synchronous=FULL")
        cursor.execute(f"PRAGMA foreign_keys={'ON' if foreign_keys else 'OFF'}")
        cursor.close()

    return set_pragmas
