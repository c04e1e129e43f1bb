"""Connections with asyncpg that only read."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import asyncpg

from backends.sql.postgres_connect import connect_to
from backends.sql.postgres_options import READ_ONLY
from backends.sql.postgres_pooler import options_behind_pooler

if TYPE_CHECKING:
    from backends.sql.postgres_pool import Session
    from backends.sql.postgres_url import PostgresOptions


async def connect(options: PostgresOptions) -> Session:
    """Connect as the repositories do, with read-only transactions.

    A pooler may refuse the setting. Then the beginning of each transaction alone has it.
    """
    plain = options_behind_pooler(options)
    arguments = dict(plain.arguments)
    arguments["server_settings"] = {**arguments["server_settings"], READ_ONLY: "on"}
    if arguments.get("target_session_attrs") == "read-write":
        # A session that only reads would not fit.
        arguments["target_session_attrs"] = "primary"
    try:
        return await connect_to(replace(plain, arguments=arguments))
    except asyncpg.ProtocolViolationError:
        return await connect_to(plain)
