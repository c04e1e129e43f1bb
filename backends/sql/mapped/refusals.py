"""Refuses writes through mapped sessions, with the repository method that does it.

The database refuses them: connections and transactions are read-only. These hooks name the method to
use, and keep the ORM from preparing a write.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Literal, TypeAlias

from sqlalchemy import Engine, event, inspect
from sqlalchemy.engine import ExceptionContext
from sqlalchemy.orm import Session

from backends.errors import BackendError
from backends.sql.mapped.models import OWN
from backends.sql.mapped.resources import map_once

Write: TypeAlias = Literal["add", "update", "delete"]

_READ_ONLY = ("25006", "SQLITE_READONLY")
"""read_only_sql_transaction of PostgreSQL; a prefix of SQLite's."""

_STATEMENT = re.compile(
    r"\b(?P<write>INSERT\s+(?:OR\s+\w+\s+)?INTO|UPDATE(?:\s+OR\s+\w+)?|DELETE\s+FROM)\s+(?:ONLY\s+)?"
    r'(?:"?\w+"?\.)?"?(?P<table>\w+)',
    re.IGNORECASE,
)
_WRITES: Mapping[str, Write] = {"I": "add", "U": "update", "D": "delete"}
_POSTINGS = "db.accounts.transfer(…), deposit(…) or withdraw(…)"
_METHODS: Mapping[tuple[str, Write], str] = {
    ("accounts", "update"): _POSTINGS,
    ("transfers", "add"): _POSTINGS,
    ("transfers", "update"): f"{_POSTINGS} for a correction: entries never change",
    ("transfers", "delete"): f"{_POSTINGS} for a correction: entries stay",
}
_REPOSITORIES = ("users", "items", "accounts")


class ReadOnlySession(BackendError):
    """A session of `eitherdb.sql` was told to write. Nothing was changed.

    Attributes:
        table: The table; None if the statement names none.
        write: The kind of the write, likewise.
    """

    def __init__(self, table: str | None = None, write: Write | None = None) -> None:
        super().__init__(f"sessions of eitherdb.sql only read: use {_method(table, write)}")
        self.table = table
        self.write = write


def _method(table: str | None, write: Write | None) -> str:
    if table is None or write is None or table not in {**OWN, **map_once()}:
        return "the repositories, such as db.users.update(…)"
    if (table, write) in _METHODS:
        return _METHODS[table, write]
    repository = table if table in _REPOSITORIES else f'resources["{table}"]'
    return f"db.{repository}.{write}(…)"


class ReadSession(Session):
    """A session that only reads."""


@event.listens_for(ReadSession, "before_flush")
def _refuse_flush(session: Session, *_: Any) -> None:
    changed = (each for each in session.dirty if session.is_modified(each, include_collections=False))
    found: tuple[tuple[Write, Any], ...] = (
        ("add", session.new),
        ("update", changed),
        ("delete", session.deleted),
    )
    for write, rows in found:
        for row in rows:
            raise ReadOnlySession(inspect(type(row)).local_table.name, write)


def refuse_writes(engine: Engine) -> None:
    """Let errors about writes name the method to use, and refuse connections that could write."""
    event.listen(engine, "handle_error", _translate)
    event.listen(engine, "set_connection_execution_options", _refuse_options)
    event.listen(engine, "set_engine_execution_options", _refuse_options)


def _translate(context: ExceptionContext) -> ReadOnlySession | None:
    """Return the error to raise instead of the database's."""
    error = context.original_exception
    code = getattr(error, "sqlstate", None) or getattr(error, "sqlite_errorname", None) or ""
    if not str(code).startswith(_READ_ONLY):
        return None
    found = _STATEMENT.search(context.statement or "")
    if found is None:
        return ReadOnlySession()
    return ReadOnlySession(found["table"].lower(), _WRITES[found["write"][0].upper()])


def _refuse_options(_: Any, options: Mapping[str, Any]) -> None:
    """Refuse what ends the read-only transaction on PostgreSQL."""
    is_autocommit = str(options.get("isolation_level", "")).upper() == "AUTOCOMMIT"
    if is_autocommit or not options.get("postgresql_readonly", True):
        raise ReadOnlySession
