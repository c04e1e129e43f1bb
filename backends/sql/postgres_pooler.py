"""What differs behind a connection pooler (PgBouncer and its like) that lends sessions to several clients.

In transaction pooling each transaction may run in another session. So nothing may be kept in one: neither
prepared statements nor `search_path`. Statements have no name and are parsed at each execution, in the
same round trip; tables are named with their schema. That is right behind any pooler, whatever its mode.
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
"""How many descriptions of statements a connection keeps: more than the repositories use."""

_SEARCH_PATH = "search_path"
_NOT_COMPARED = {_SEARCH_PATH, "application_name", "options"}
"""What is set for each transaction, is only a name, or is for the pooler itself."""

SET_LOCAL = "SELECT set_config($1, $2, true)"
"""Changes a setting until the end of the transaction, and returns how the server writes the value."""


async def is_pooled(connection: asyncpg.Connection) -> bool:
    """Tell whether a pooler stands in between: it announces another process than the one that answers."""
    # Without a name, so that it works behind every pooler.
    statement = await connection.prepare("SELECT pg_backend_pid()", name="")
    return bool(await statement.fetchval() != connection.get_server_pid())


def options_behind_pooler(options: PostgresOptions) -> PostgresOptions:
    """Return options that a pooler takes: without `search_path`, and nothing is kept but by request."""
    session = {name: value for name, value in _session(options).items() if name != _SEARCH_PATH}
    return replace(options, arguments={STATEMENTS: 0, **options.arguments, "server_settings": session})


def search_path_of(options: PostgresOptions) -> str | None:
    """Return the search path that the URL asks for."""
    return _session(options).get(_SEARCH_PATH)


async def find_schema(connection: asyncpg.Connection, options: PostgresOptions) -> str:
    """Return the schema that the URL leads to, which the pooler may have forgotten, as all of its session.

    It is asked in a transaction, because one is needed for the rest.

    Raises:
        BackendError: The pooler allows no transaction or has lost an option, or there is no such schema.
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
        raise BackendError("there is no schema to work in: CREATE SCHEMA what search_path names")
    return str(schema)


async def set_search_path(connection: asyncpg.Connection, schema: str | None) -> None:
    """Let the transaction work in this schema."""
    if schema is not None:
        await connection.fetch(SET_LOCAL, _SEARCH_PATH, '"' + schema.replace('"', '""') + '"')


async def fetch_unnamed(connection: Session, sql: str, arguments: list[Any]) -> Iterable[Iterable[Any]]:
    """Run a statement that is described once a connection and parsed at each execution.

    asyncpg sends Parse, Bind, Execute and Sync together, because it keeps no statements here: one round
    trip, which a pooler can't tear apart.
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
