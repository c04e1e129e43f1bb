"""The requirements for SQLite's build and for access to the file.

https://www.sqlite.org/pragma.html documents the pragmas, https://www.sqlite.org/compile.html the options.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from backends.requirements import Purpose, UnmetRequirement
from backends.sql.engine import belongs_to_another

MIN_VERSION = (3, 35, 0)
"""The first version with RETURNING (https://www.sqlite.org/lang_returning.html)."""

_ANOTHER_BUILD = "use a Python whose SQLite is built with the default options, as python.org's and Debian's"

# Each feature is tested, because SQLite doesn't list all of its compile-time options.
FEATURES: Mapping[str, tuple[str, str]] = {
    "foreign keys": ("SELECT foreign_keys = 1 FROM pragma_foreign_keys", "SQLITE_OMIT_FOREIGN_KEY"),
    "JSON": ("SELECT json_extract(value, '$[0]') = 1 FROM json_each('[[1]]')", "SQLITE_OMIT_JSON"),
}
"""A query that returns 1 if the feature is present, and the option that removes the feature."""


def facts(file: Path, connection: sqlite3.Connection) -> dict[str, Any]:
    """Collect the facts that `unmet` checks.

    Args:
        file: The database, for messages.
        connection: A connection as the repositories use it, which does not wait for locks.
    """
    return {
        "file": file,
        "version": sqlite3.sqlite_version_info,
        "threadsafety": sqlite3.threadsafety,
        "encoding": _value(connection, "PRAGMA encoding"),
        "journal_mode": (mode := _value(connection, "PRAGMA journal_mode")),
        # The journal mode of another application's file is not changed.
        "is_foreign": mode != "wal" and belongs_to_another(connection.cursor()),
        "lacking": [name for name, (query, _) in FEATURES.items() if _value(connection, query) != 1],
        "write_error": _write_error(connection),
        "user": os.geteuid() if hasattr(os, "geteuid") else os.getlogin(),
    }


def _value(connection: sqlite3.Connection, query: str) -> object:
    try:
        row = connection.execute(query).fetchone()
    except sqlite3.Error:
        return None
    return row[0] if row else None


def _write_error(connection: sqlite3.Connection) -> str | None:
    """Write and roll back; return the error, or None."""
    try:
        connection.execute("BEGIN IMMEDIATE")  # succeeds even if the file is read-only
        connection.execute(f"PRAGMA user_version = {_value(connection, 'PRAGMA user_version')}")
    except sqlite3.OperationalError as exc:
        # Another process holds the write lock, so the file is writable.
        if exc.sqlite_errorname.startswith(("SQLITE_BUSY", "SQLITE_LOCKED")):
            return None
        return f"{exc} ({exc.sqlite_errorname})"
    finally:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
    return None


def unmet(facts: Mapping[str, Any], purpose: Purpose) -> Iterator[UnmetRequirement]:
    """Compare the facts with the requirements of the purpose."""
    file = facts["file"]
    if facts["version"] < MIN_VERSION:
        yield UnmetRequirement(
            subject="server",
            found=f"Python's SQLite is {'.'.join(map(str, facts['version']))}",
            needed=f"{'.'.join(map(str, MIN_VERSION))} or newer is needed",
            remedy="use a Python with a newer SQLite",
        )
    if not facts["threadsafety"]:
        yield UnmetRequirement(
            subject="server",
            found="Python's SQLite is built with SQLITE_THREADSAFE=0",
            needed="threads are needed",
            remedy=_ANOTHER_BUILD,
        )
    for name in facts["lacking"]:
        yield UnmetRequirement(
            subject="server",
            found=f"Python's SQLite has no {name} ({FEATURES[name][1]})",
            needed="a default build has that",
            remedy=_ANOTHER_BUILD,
        )
    if facts["encoding"] != "UTF-8":
        yield UnmetRequirement(
            subject="server",
            found=f"the encoding of {file} is {facts['encoding']}",
            needed="UTF-8 is needed to order text by code point",
            remedy=f"a file keeps its encoding: make a new one, with `sqlite3 {file} .dump | sqlite3 NEW`, "
            "and let DATABASE_URL name it",
        )
    if purpose is Purpose.READ:
        return
    if facts["write_error"]:
        yield UnmetRequirement(
            subject="privileges",
            found=f"{file} can't be written: {facts['write_error']}",
            needed=f"the file and its folder must be writable for this process (user {facts['user']})",
            remedy="look at their owner and mode, at a read-only mount, and at `mode` and `immutable` in "
            "DATABASE_URL",
        )
    elif facts["journal_mode"] != "wal" and not facts["is_foreign"]:
        yield UnmetRequirement(
            subject="server",
            found=f"the journal mode of {file} is {facts['journal_mode']}, and WAL can't be had",
            needed="WAL is needed, so that readers and the writer don't block each other",
            remedy="put the file on a disk of this machine, not on a network file system",
        )
