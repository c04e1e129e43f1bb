"""Connections with psycopg, for synchronous sessions: asyncpg has no synchronous interface.

psycopg takes libpq's options, which are those of DATABASE_URL. So the same options are applied or refused.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from backends.errors import BackendError, Unavailable
from backends.failures import one_line
from backends.sql.postgres_options import READ_ONLY
from backends.sql.postgres_tls import TLS, tls_arguments
from backends.sql.postgres_url import given_options, server_settings, session_option

if TYPE_CHECKING:
    import psycopg

    from config import Settings

_SAME = (*TLS, "user", "password", "passfile", "krbsrvname", "gsslib", "gssencmode", "channel_binding")
"""Options that psycopg takes by the same names."""

_REFUSED_BY_POOLER = "unsupported startup parameter"
"""PgBouncer's message. libpq has no codes for errors of connecting."""


@dataclass(frozen=True, slots=True)
class ReadOptions:
    """The options of a connection.

    Attributes:
        arguments: The arguments of `psycopg.connect`, without `options`.
        session: The settings of the session as command-line options of the server.
        search_path: The search path, which is set in each transaction.
    """

    arguments: dict[str, Any]
    session: str
    search_path: str | None


def read_options(settings: Settings) -> ReadOptions:
    """Parse the URL.

    Raises:
        BackendError: The URL is invalid, an option is refused, or psycopg is not installed.
    """
    try:
        import psycopg  # noqa: F401, PLC0415 - an extra
    except ImportError as exc:
        raise BackendError(
            "synchronous sessions on PostgreSQL need psycopg: run `pip install 'eitherdb[reports]'`, or "
            "use async_session_factory, which needs nothing more"
        ) from exc
    hosts, given = given_options(settings)
    tls_arguments(given)  # refuses options that don't fit together
    session = server_settings(given)
    timeout = given.get("connect_timeout", settings.db_connect_timeout_seconds)
    arguments: dict[str, Any] = {name: given[name] for name in _SAME if given.get(name) is not None}
    arguments |= {
        "application_name": session.pop("application_name"),
        "connect_timeout": max(1, math.ceil(timeout)),
        "tcp_user_timeout": max(1, int(timeout * 1000)),
        # Behind a connection pooler, the next client may get a session with prepared statements.
        "prepare_threshold": None,
    }
    if "database" in given:
        arguments["dbname"] = given["database"]
    if any(host for host, _ in hosts):
        arguments["host"] = ",".join(host or "" for host, _ in hosts)
    if any(port for _, port in hosts):
        arguments["port"] = ",".join(str(port or "") for _, port in hosts)
    attributes = given.get("target_session_attrs", "read-write" if len(hosts) > 1 else "any")
    # A session that only reads would not fit "read-write".
    arguments["target_session_attrs"] = "primary" if attributes == "read-write" else attributes
    search_path = session.pop("search_path", None)
    words = [session.pop("options")] if "options" in session else []
    words += [session_option(name, value) for name, value in session.items()]
    return ReadOptions(arguments, " ".join(words), search_path)


def connect(options: ReadOptions) -> psycopg.Connection[Any]:
    """Connect, with read-only transactions.

    A pooler may refuse the setting. Then the beginning of each transaction alone has it.

    Raises:
        Unavailable: The connection failed.
    """
    import psycopg  # noqa: PLC0415 - an extra

    read_only = f"{options.session} {session_option(READ_ONLY, 'on')}"
    try:
        try:
            return psycopg.connect(**options.arguments, options=read_only)
        except psycopg.OperationalError as exc:
            if _REFUSED_BY_POOLER not in str(exc):
                raise
            return psycopg.connect(**options.arguments, options=options.session)
    except psycopg.Error as exc:
        raise Unavailable(f"the connection failed ({one_line(str(exc))}); check DATABASE_URL") from exc
