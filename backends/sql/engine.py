"""Set-up of connections per dialect, for repositories and migrations."""

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
    """Return the SQLAlchemy dialect for the configured database."""
    return make_url(f"{_DRIVERS[settings.db_backend]}://").get_dialect()()


def create_engine(settings: Settings) -> AsyncEngine:
    """Create the engine for migrations, because Alembic needs SQLAlchemy's connections.

    Connections are in autocommit mode. Commands have no timeout. SQLite's foreign keys are off, because a
    migration that rebuilds a table drops the old one, and that would cascade.

    Raises:
        BackendError: The URL is invalid.
    """
    # This imports SQLAlchemy's ORM, which the service does not need.
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
    # SQLite does not need asyncpg.
    from backends.sql.postgres_connect import connect_without_state  # noqa: PLC0415
    from backends.sql.postgres_pooler import SET_LOCAL, search_path_of  # noqa: PLC0415

    postgres = postgres_options(settings, command_timeout=False)
    # Statements are unnamed: behind a connection pooler, the next client may get a session with named ones.
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
    """Connect, and retry while the file is locked.

    SQLite does not wait for the lock when it switches a new file to WAL. Two instances that start on one
    new file may collide there. Later connections find the file in WAL mode.
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
    """Create the parent folder of the file, such as the default's `.data`, but no further ancestors.

    A path with several missing folders is probably a mistake.

    Raises:
        BackendError: The folder can't be created.
    """
    if options.must_exist:
        return
    try:
        options.file.resolve().parent.mkdir(exist_ok=True)
    except OSError as exc:
        raise BackendError(f"the folder of {options.file} can't be made: {exc.strerror}") from exc


def set_pragmas(connection: DBAPIConnection | sqlite3.Connection, *, foreign_keys: bool) -> None:
    """Configure a new SQLite connection for durability, concurrency and foreign keys."""
    cursor = connection.cursor()
    cursor.execute("PRAGMA journal_mode")
    if cursor.fetchall() != [("wal",)] and not belongs_to_another(cursor):
        # In WAL mode, readers and the writer don't block each other.
        cursor.execute("PRAGMA journal_mode=WAL")
    # A confirmed commit survives a power failure. In WAL mode, NORMAL could lose the last commits.
    cursor.execute("PRAGMA synchronous=FULL")
    # An eighth of the default. Each connection has its own cache besides the operating system's, and it is
    # invalidated whenever another connection writes.
    cursor.execute("PRAGMA cache_size=-250")
    cursor.execute(f"PRAGMA foreign_keys={'ON' if foreign_keys else 'OFF'}")
    cursor.close()


def belongs_to_another(cursor: DBAPICursor | sqlite3.Cursor) -> bool:
    """Return whether the file belongs to another application. Its journal mode, which persists, is kept."""
    cursor.execute("SELECT count(*) FROM sqlite_master")
    ((count,),) = cursor.fetchall()
    if not count:
        return False
    cursor.execute(catalog_query(on_sqlite=True))
    return not occupancy(cursor.fetchall(), [], on_sqlite=True).recognised
