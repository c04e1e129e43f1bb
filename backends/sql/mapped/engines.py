"""Engines whose connections only read, for mapped sessions.

Each transaction is a snapshot, so that all statements of a report see the same rows. Connections are not
pooled: no session outlives its transaction, nothing has to be closed, and a process may fork.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from sqlalchemy import URL, Connection, Engine, create_engine, event, text
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool

from backends.sql.mapped.refusals import refuse_writes
from backends.sql.sqlite_url import sqlite_options

if TYPE_CHECKING:
    from sqlalchemy.engine.interfaces import DBAPIConnection
    from sqlalchemy.ext.asyncio import AsyncEngine

    from config import Settings

_OPTIONS: dict[str, Any] = {"poolclass": NullPool, "hide_parameters": True}
_ON_POSTGRES: dict[str, Any] = {
    "isolation_level": "REPEATABLE READ",
    # BEGIN READ ONLY, which also holds behind a pooler that drops the settings of sessions.
    "execution_options": {"postgresql_readonly": True},
}


def read_engine(settings: Settings) -> Engine:
    """Return the engine for synchronous sessions.

    Raises:
        BackendError: The URL is invalid, or psycopg is not installed.
    """
    if settings.db_backend == "sqlite":
        return _on_sqlite(create_engine(**_sqlite(settings, "sqlite"), **_OPTIONS))
    from backends.sql.mapped import psycopg_connect  # noqa: PLC0415 - SQLite does not need the driver

    options = psycopg_connect.read_options(settings)
    engine = create_engine(
        "postgresql+psycopg://",
        creator=partial(psycopg_connect.connect, options),
        **_OPTIONS,
        **_ON_POSTGRES,
    )
    return _on_postgres(engine, options.search_path)


def async_read_engine(settings: Settings) -> AsyncEngine:
    """Return the engine for asynchronous sessions.

    Raises:
        BackendError: The URL is invalid.
    """
    if settings.db_backend == "sqlite":
        engine = create_async_engine(**_sqlite(settings, "sqlite+aiosqlite"), **_OPTIONS)
        _on_sqlite(engine.sync_engine)
        return engine
    # SQLite does not need asyncpg.
    from backends.sql.mapped.asyncpg_connect import connect  # noqa: PLC0415
    from backends.sql.postgres_pooler import search_path_of  # noqa: PLC0415
    from backends.sql.postgres_url import postgres_options  # noqa: PLC0415

    options = postgres_options(settings, command_timeout=False)
    connect_args = {
        "async_creator_fn": partial(connect, options),
        # Behind a connection pooler, the next client may get a session with named statements.
        "prepared_statement_cache_size": 0,
        "prepared_statement_name_func": str,
    }
    engine = create_async_engine(
        "postgresql+asyncpg://", connect_args=connect_args, **_OPTIONS, **_ON_POSTGRES
    )
    _on_postgres(engine.sync_engine, search_path_of(options))
    return engine


def _sqlite(settings: Settings, driver: str) -> dict[str, Any]:
    """Return the URL and the arguments that open the file, which must exist, for reading."""
    arguments = sqlite_options(settings).read_only
    database = arguments.pop("database")
    return {
        "url": URL.create(driver, database=database, query={"uri": "true"}),
        "connect_args": {name: value for name, value in arguments.items() if name != "uri"},
    }


def _on_sqlite(engine: Engine) -> Engine:
    """Let each transaction begin with BEGIN, so that it is a snapshot, and each connection only read."""

    def set_up(connection: DBAPIConnection, _: object) -> None:
        connection.isolation_level = None  # no transactions of Python's driver
        cursor = connection.cursor()
        # Also for files that a connection attaches.
        cursor.execute("PRAGMA query_only=ON")
        cursor.close()

    def begin(connection: Connection) -> None:
        connection.exec_driver_sql("BEGIN")

    event.listen(engine, "connect", set_up)
    event.listen(engine, "begin", begin)
    refuse_writes(engine)
    return engine


def _on_postgres(engine: Engine, search_path: str | None) -> Engine:
    """Set what a pooler may lose in each transaction. Times in UTC are those of the repositories."""
    begun = text("SELECT set_config('TimeZone', 'UTC', true)")
    if search_path is not None:
        begun = text(
            "SELECT set_config('TimeZone', 'UTC', true), set_config('search_path', :search_path, true)"
        ).bindparams(search_path=search_path)

    def begin(connection: Connection) -> None:
        connection.execute(begun)

    event.listen(engine, "begin", begin)
    refuse_writes(engine)
    return engine
