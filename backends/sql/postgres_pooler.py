"""Support for connection poolers such as PgBouncer.

With transaction pooling, each transaction may run in another session. So no session state can be used:
neither prepared statements nor `search_path`. Statements are unnamed and parsed at each execution, in the
same round trip. Table names are qualified with the schema. This works with every pooling mode.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import asyncpg

from backends.errors import BackendError
from backends.sql.postgres_options import STATEMENTS

if TYPE_CHECKING:
    from backends.sql.postgres_pool import Session
    from backends.sql.postgres_url import PostgresOptions

STATEMENTS_KEPT = 1000
"""The size of a connection's cache of statement descriptions: more than the repositories use."""

_SEARCH_PATH = "search_path"
_NOT_COMPARED = {_SEARCH_PATH, "application_name", "options"}
"""Settings that need no check: set per transaction, only informative, or for the pooler itself."""

SET_LOCAL = "SELECT set_config($1, $2, true)"
"""Changes a setting until the end of the transaction, and returns the value as the server formats it."""


async def is_pooled(connection: asyncpg.Connection) -> bool:
    """Return whether a pooler is in between. Its process id differs from that of the server process."""
    # Unnamed, so that it works behind every pooler.
    statement = await connection.prepare("SELECT pg_backend_pid()", name="")
    return bool(await statement.fetchval() != connection.get_server_pid())


def options_behind_pooler(options: PostgresOptions) -> PostgresOptions:
    """Return options that a pooler accepts: no `search_path`, and no statement cache by default."""
    session = {name: value for name, value in _session(options).items() if name != _SEARCH_PATH}
    return replace(options, arguments={STATEMENTS: 0, **options.arguments, "server_settings": session})


def search_path_of(options: PostgresOptions) -> str | None:
    """Return the search path of the URL, or None."""
    return _session(options).get(_SEARCH_PATH)


async def find_schema(connection: asyncpg.Connection, options: PostgresOptions) -> str:
    """Return the current schema according to the URL, because a pooler may lose the session's settings.

    The settings are checked and applied in a transaction, so that one server session is used throughout.

    Raises:
        BackendError: The pooler allows no transactions or ignores an option, or the schema does not exist.
    """
    try:
        await connection.execute("BEGIN")
    except asyncpg.PostgresError as exc:
        raise BackendError(
            "the connection pooler allows no transactions, which EitherDB needs: set PgBouncer's pool_mode "
            f"to transaction or session ({exc})"
        ) from exc
    for name, value in _session(options).items():
        if name in _NOT_COMPARED:
            continue
        before = await connection.fetchval("SELECT current_setting($1, true)", name)
        asked = await connection.fetchval(SET_LOCAL, name, value)
        if before != asked:
            raise BackendError(
                f"the connection pooler ignores {name} of DATABASE_URL ({before} instead of {asked}): "
                f"leave it out there, and ALTER ROLE name SET {name} = '{value}'"
            )
    if (search_path := search_path_of(options)) is not None:
        await connection.fetch(SET_LOCAL, _SEARCH_PATH, search_path)
    schema = await connection.fetchval("SELECT current_schema()")
    await connection.execute("ROLLBACK")
    if schema is None:
        raise BackendError("the schema does not exist: run CREATE SCHEMA for the schema of search_path")
    return str(schema)


async def set_search_path(connection: asyncpg.Connection, schema: str | None) -> None:
    """Set the search path of the current transaction to this schema."""
    if schema is not None:
        await connection.fetch(SET_LOCAL, _SEARCH_PATH, '"' + schema.replace('"', '""') + '"')


async def fetch_unnamed(connection: Session, sql: str, arguments: list[Any]) -> Iterable[Iterable[Any]]:
    """Run an unnamed statement, which is described once per connection and parsed at each execution.

    asyncpg's statement cache is off, so it sends Parse, Bind, Execute and Sync together: one round trip,
    which a pooler can't split between sessions.
    """
    statement = connection.prepared.get(sql)
    if statement is None:
        if len(connection.prepared) >= STATEMENTS_KEPT:
            connection.prepared.clear()
        statement = connection.prepared[sql] = await connection.prepare(sql, name="")
    rows: list[asyncpg.Record] = await statement.fetch(*arguments)
    return rows


def _session(options: PostgresOptions) -> dict[str, str]:
    session: dict[str, str] = options.arguments["server_settings"]
    return session
