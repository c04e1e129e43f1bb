"""Connection attempts to PostgreSQL: several hosts, and connection poolers."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

import asyncpg

from backends.sql.postgres_pool import Session
from backends.sql.postgres_pooler import options_behind_pooler, search_path_of
from backends.sql.postgres_url import PostgresOptions, postgres_options

if TYPE_CHECKING:
    from config import Settings


async def connect(settings: Settings) -> asyncpg.Connection:
    """Connect as the repositories do.

    Raises:
        Exception: asyncpg's own, for the caller to translate.
    """
    return await connect_to(postgres_options(settings))


async def connect_to(options: PostgresOptions) -> Session:
    """Connect to the first suitable host, with a separate timeout for each host.

    asyncpg has one timeout for all hosts, so an unresponsive one would use it up.

    Raises:
        Exception: asyncpg's error for the last host.
    """
    for host, port in options.hosts[:-1]:
        with suppress(OSError, asyncpg.CannotConnectNowError, asyncpg.TargetServerAttributeNotMatched):
            return await asyncpg.connect(
                host=host, port=port, connection_class=Session, **options.arguments
            )
    host, port = options.hosts[-1]
    return await asyncpg.connect(host=host, port=port, connection_class=Session, **options.arguments)


async def connect_without_state(options: PostgresOptions) -> Session:
    """Connect like `connect_to`, but without `search_path` if a pooler rejects it.

    The caller must set the search path in each transaction, because a pooler may also accept and lose it.
    """
    try:
        return await connect_to(options)
    except asyncpg.ProtocolViolationError:
        if search_path_of(options) is None:
            raise
        return await connect_to(options_behind_pooler(options))
