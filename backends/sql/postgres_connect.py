"""Connection attempts to PostgreSQL: several hosts, and connection poolers."""

from __future__ import annotations

import asyncio
import socket
from contextlib import suppress

import asyncpg

from backends.sql.postgres_pool import Session
from backends.sql.postgres_pooler import options_behind_pooler, search_path_of
from backends.sql.postgres_url import PostgresOptions


async def connect_to(options: PostgresOptions) -> Session:
    """Connect to the first suitable host, with a separate timeout for each host.

    asyncpg has one timeout for all hosts, so an unresponsive one would use it up.

    Raises:
        Exception: asyncpg's error for the last host.
    """
    for host in options.hosts[:-1]:
        with suppress(OSError, asyncpg.CannotConnectNowError, asyncpg.TargetServerAttributeNotMatched):
            return await _connect_to_host(host, options)
    return await _connect_to_host(options.hosts[-1], options)


async def _connect_to_host(host: tuple[str | None, int | None], options: PostgresOptions) -> Session:
    connection: Session = await asyncpg.connect(
        host=host[0], port=host[1], connection_class=Session, **options.arguments
    )
    _limit_unacknowledged(connection, options.arguments["timeout"])
    return connection


def _limit_unacknowledged(connection: Session, seconds: float) -> None:
    """Let the kernel close the connection if the server's machine does not acknowledge data in time.

    A machine that is gone acknowledges nothing, while one with a slow server does. Without this limit of
    the kernel, only the timeout of the statement applies.
    """
    transport: asyncio.Transport = connection._transport  # type: ignore[attr-defined]  # noqa: SLF001 - no other way
    peer = transport.get_extra_info("socket")
    if peer.family in {socket.AF_INET, socket.AF_INET6} and hasattr(socket, "TCP_USER_TIMEOUT"):
        peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, max(1, int(seconds * 1000)))


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
