"""The options of PostgreSQL's URL: libpq's, and those of other drivers that providers use in their URLs.

https://www.postgresql.org/docs/current/libpq-connect.html#LIBPQ-PARAMKEYWORDS lists libpq's.
"""

from __future__ import annotations

import os
import re
import stat
from pathlib import Path

from backends.url_options import (
    Applied,
    Fixed,
    Setting,
    Table,
    Unsupported,
    choice,
    readable_file,
    switch,
    text,
    whole_number,
)

_SSL_MODES = ("disable", "allow", "prefer", "require", "verify-ca", "verify-full")
_TLS_VERSIONS = ("TLSv1", "TLSv1.1", "TLSv1.2", "TLSv1.3")
_UTF8 = ("utf8", "utf-8", "unicode", "auto")
STATEMENTS = "statement_cache_size"
READ_ONLY = "default_transaction_read_only"
_KEEPALIVE = Unsupported(
    "the driver leaves it to the system; set net.ipv4.tcp_keepalive_* there, or the server's side with "
    "options=-c%20tcp_keepalives_idle=60"
)
_SERVICE = Unsupported("no service file is read; write into the URL what the file says")


def _session_attributes(value: str) -> str:
    if value not in {"any", "primary", "read-write"}:
        raise ValueError("EitherDB writes; choose one of: read-write, primary, any")
    return value


def _ssl_switch(value: str) -> str:
    """Parse `ssl=true`, which libpq treats as `sslmode=require`."""
    return value if value in _SSL_MODES else "require" if switch(value) else "disable"


def _root_certificate(value: str) -> str:
    return value if value == "system" else readable_file(value)


def _private_file(value: str) -> str:
    path = readable_file(value)
    if os.name == "posix" and Path(path).stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise ValueError(f"others may read the file {path}; run chmod 600 on it")
    return path


def _without_cache(value: str) -> int | None:
    """Parse `pgbouncer=true`: no prepared statement outlives its transaction."""
    return 0 if switch(value) else None


def _with_cache(value: str) -> int | None:
    return None if switch(value) else 0


def read_session(value: str) -> dict[str, str]:
    """Parse command-line options of the server: `-c name=value` and `--name=value`.

    Other words are passed on unchanged, because proxies have their own, such as Neon's `endpoint=…`.
    """
    settings: dict[str, str] = {}
    rest = []
    words = [re.sub(r"\\(.)", r"\1", word) for word in re.findall(r"(?:\\.|[^\s\\])+", text(value))]
    while words:
        word = words.pop(0)
        if word == "-c":
            word = f"-c{words.pop(0)}" if words else word
        match = re.fullmatch(r"(?:-c|--)([A-Za-z_][\w.-]*)=(.*)", word)
        if match:
            settings[match[1].replace("-", "_").lower()] = match[2]
        elif re.fullmatch(r"[A-Za-z_]\w*=\S+", word):
            rest.append(word)
        else:
            raise ValueError("give -c name=value, a blank written as %20")
    for name, (refused, reason) in _SESSION_REFUSED.items():
        if settings.get(name, "").lower() in refused:
            raise ValueError(f"{name}: {reason}")
    return settings | ({"options": " ".join(rest)} if rest else {})


_OFF = ("off", "false", "no", "0")
_ON = ("on", "true", "yes", "1")
_SESSION_REFUSED = {
    "synchronous_commit": (_OFF, "an answered write must survive a crash; leave it out"),
    "standard_conforming_strings": (_OFF, "the driver needs it on; leave it out"),
    READ_ONLY: (_ON, "EitherDB writes; leave it out"),
    "session_replication_role": (("replica",), "it switches foreign keys off; leave it out"),
}
"""Values of session settings that violate the contract."""


OPTIONS: Table = {
    # Server and credentials, if they are given as options
    "host": Applied(text),
    "port": Applied(text),
    "dbname": Applied(text, "database"),
    "database": Applied(text),
    "user": Applied(text),
    "password": Applied(text),
    "passfile": Applied(_private_file),
    # TLS
    "sslmode": Applied(choice(*_SSL_MODES)),
    "ssl": Applied(_ssl_switch, "sslmode"),
    "sslrootcert": Applied(_root_certificate),
    "sslcert": Applied(readable_file),
    "sslkey": Applied(readable_file),
    "sslpassword": Applied(text),
    "sslcrl": Applied(readable_file),
    "ssl_min_protocol_version": Applied(choice(*_TLS_VERSIONS)),
    "ssl_max_protocol_version": Applied(choice(*_TLS_VERSIONS)),
    "sslnegotiation": Applied(choice("postgres", "direct")),
    "sslcompression": Fixed(("0",), "TLS compression is unsafe; leave it out"),
    "sslsni": Fixed(("1",), "the driver always sends the host name; leave it out"),
    "sslcertmode": Fixed(("allow",), "the driver has no such check; leave it out"),
    "requiressl": Unsupported("give sslmode=require"),
    "sslcrldir": Unsupported("the driver reads one file; give sslcrl=/path/to/file"),
    "sslkeylogfile": Unsupported("set the environment variable SSLKEYLOGFILE"),
    "channel_binding": Fixed(
        ("disable", "prefer"),
        "the driver has no channel binding; leave it out, and give sslmode=verify-full with "
        "sslrootcert=system (or a file), which protects from a server in the middle too",
    ),
    "require_auth": Unsupported("the driver can't demand a method; demand it in the server's pg_hba.conf"),
    "gssencmode": Fixed(("disable", "prefer"), "the driver encrypts with TLS only; give sslmode=require"),
    "krbsrvname": Applied(text),
    "gsslib": Applied(choice("gssapi", "sspi")),
    "gssdelegation": Fixed(("0",), "the driver delegates no credentials; leave it out"),
    "requirepeer": Unsupported("the driver can't check the server's user; use sslmode=verify-full"),
    # The choice among several servers
    "target_session_attrs": Applied(_session_attributes),
    "load_balance_hosts": Fixed(
        ("disable",), "hosts are tried in order, and one is the primary; leave it out"
    ),
    "hostaddr": Unsupported("give the address as the URL's host"),
    # The session
    "application_name": Applied(text),
    "fallback_application_name": Applied(text),
    "search_path": Applied(text),
    "schema": Applied(text, "search_path"),  # Prisma
    "options": Applied(read_session),
    "client_encoding": Fixed(_UTF8, "the driver speaks UTF-8 only; leave it out"),
    "replication": Fixed(("false", "off", "no", "0"), "EitherDB runs SQL; leave it out"),
    # Prepared statements, which some connection poolers don't support
    "statement_cache_size": Applied(whole_number(0, 100_000)),  # asyncpg
    "prepared_statement_cache_size": Applied(whole_number(0, 100_000), STATEMENTS),  # SQLAlchemy
    "pgbouncer": Applied(_without_cache, STATEMENTS),  # Prisma, Supabase
    "prepared_statements": Applied(_with_cache, STATEMENTS),  # Rails
    # Options with a corresponding setting
    "connect_timeout": Setting("db_connect_timeout_seconds", applies=True),
    "timeout": Setting("db_connect_timeout_seconds", applies=True, name="connect_timeout"),  # asyncpg
    "command_timeout": Setting("db_command_timeout_seconds"),  # asyncpg
    "socket_timeout": Setting("db_command_timeout_seconds"),  # Prisma
    "connection_limit": Setting("db_pool_size"),  # Prisma
    "pool_size": Setting("db_pool_size"),
    "pool_timeout": Setting("db_pool_timeout_seconds"),  # Prisma
    "keepalives": Fixed(("0",), _KEEPALIVE.reason),
    "keepalives_idle": _KEEPALIVE,
    "keepalives_interval": _KEEPALIVE,
    "keepalives_count": _KEEPALIVE,
    "tcp_user_timeout": _KEEPALIVE,
    "service": _SERVICE,
    "servicefile": _SERVICE,
}
"""All known options."""
