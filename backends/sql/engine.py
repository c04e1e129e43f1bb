"""What is peculiar to each dialect when it is connected to; repositories and migrations both start here."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Awaitable, Callable
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from sqlalchemy import URL, event, make_url
from sqlalchemy.exc import OperationalError
from sqlalchemy.pool import NullPool

from backends.errors import BackendError
from backends.sql.ownership import catalog_query, occupancy
from backends.sql.postgres_options import STATEMENTS
from backends.sql.postgres_url import postgres_options
from backends.sql.sqlite_url import SqliteOptions, sqlite_options

if TYPE_CHECKING:
    from sqlalchemy import Dialect
    from sqlalchemy.engine.interfaces import DBAPIConnection, DBAPICursor
    from sqlalchemy.ext.asyncio import AsyncEngine

    from config import Settings

T = TypeVar("T")

_DRIVERS = {"sqlite": "sqlite+aiosqlite", "postgres": "postgresql+asyncpg"}


def dialect(settings: Settings) -> Dialect:
    """Return what statements are compiled for."""
    return make_url(f"{_DRIVERS[settings.db_backend]}://").get_dialect()()


def create_engine(settings: Settings) -> AsyncEngine:
    """Make the engine that migrations run on: Alembic works on SQLAlchemy's connections.

    Every statement is its own transaction, unless one is begun. A command has no time limit; and SQLite
    has no foreign keys, because a migration that rebuilds a table drops the old one, which would cascade.

    Raises:
        BackendError: The URL can't be used.
    """
    # Imports SQLAlchemy's ORM, which a service that runs no migration can do without.
    from sqlalchemy.ext.asyncio import create_async_engine  # noqa: PLC0415

    options: dict[str, Any] = {
        "isolation_level": "AUTOCOMMIT",
        "poolclass": NullPool,
        "hide_parameters": True,
    }
    if settings.db_backend == "sqlite":
        sqlite = sqlite_options(settings)
        make_folder(sqlite)
        database = sqlite.arguments.pop("database")
        url = URL.create(
            _DRIVERS["sqlite"], database=database, query={"uri": "true"} if sqlite.is_uri else {}
        )
        engine = create_async_engine(url, connect_args=sqlite.arguments, **options)
        event.listen(
            engine.sync_engine, "connect", lambda connection, _: set_pragmas(connection, foreign_keys=False)
        )
        return engine
    # Its driver is of no use to SQLite.
    from backends.sql.postgres import connect_without_state  # noqa: PLC0415
    from backends.sql.postgres_pooler import SET_LOCAL, search_path_of  # noqa: PLC0415

    postgres = postgres_options(settings, command_timeout=False)
    # No statement has a name: behind a connection pooler the next client may get the session with it.
    postgres.arguments[STATEMENTS] = 0
    connect_args = {
        "async_creator_fn": partial(connect_without_state, postgres),
        "prepared_statement_cache_size": 0,
        "prepared_statement_name_func": str,
    }
    engine = create_async_engine(f"{_DRIVERS['postgres']}://", connect_args=connect_args, **options)
    if (search_path := search_path_of(postgres)) is not None:
        event.listen(
            engine.sync_engine,
            "begin",
            lambda connection: connection.exec_driver_sql(SET_LOCAL, ("search_path", search_path)),
        )
    return engine


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


def make_folder(options: SqliteOptions) -> None:
    """Make the last folder of the path, as the default's `.data`: a longer way is likely a slip.

    Raises:
        BackendError: It can't be made.
    """
    if options.must_exist:
        return
    try:
        options.file.resolve().parent.mkdir(exist_ok=True)
    except OSError as exc:
        raise BackendError(f"the folder of {options.file} can't be made: {exc.strerror}") from exc


def set_pragmas(connection: DBAPIConnection | sqlite3.Connection, *, foreign_keys: bool) -> None:
    """Give a new SQLite connection what PostgreSQL has by itself."""
    cursor = connection.cursor()
    cursor.execute("PRAGMA journal_mode")
    if cursor.fetchall() != [("wal",)] and not belongs_to_another(cursor):
        # Readers don't block the writer, and the writer doesn't block them.
        cursor.execute("PRAGMA journal_mode=WAL")
    # A commit that was answered survives a power cut; NORMAL would lose the last ones in WAL mode.
    cursor.execute("PRAGMA synchronous=FULL")
    # An eighth of the default: a connection of each thread has a cache of its own, besides the system's,
    # which is emptied whenever another one has written.
    cursor.execute("PRAGMA cache_size=-250")
    cursor.execute(f"PRAGMA foreign_keys={'ON' if foreign_keys else 'OFF'}")
    cursor.close()


def belongs_to_another(cursor: DBAPICursor | sqlite3.Cursor) -> bool:
    """Tell whether the file is another application's, whose journal mode is kept: it is in the file."""
    cursor.execute("SELECT count(*) FROM sqlite_master")
    ((count,),) = cursor.fetchall()
    if not count:
        return False
    cursor.execute(catalog_query(on_sqlite=True))
    return not occupancy(cursor.fetchall(), [], on_sqlite=True).recognised
