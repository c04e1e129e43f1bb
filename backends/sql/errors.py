"""Translation of the errors of asyncpg, sqlite3 and SQLAlchemy to `backends.errors`.

Errors are classified by code, never by message text. `postgres_failures` and `sqlite_failures` have the
tables with the messages for operators.
"""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Literal, cast

from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from backends.errors import BackendError
from backends.failures import UNKNOWN, Failure, connection_error, error_for, one_line
from backends.sql import postgres_failures, sqlite_failures

Constraint = Literal["primary_key", "unique", "foreign_key", "check"]

CONSTRAINT_CODES: dict[str, Constraint] = {
    # PostgreSQL. Primary keys are distinguished from other unique constraints by name, below.
    "23505": "unique",  # unique_violation
    "23503": "foreign_key",  # foreign_key_violation
    "23514": "check",  # check_violation
    # SQLite
    "SQLITE_CONSTRAINT_PRIMARYKEY": "primary_key",
    "SQLITE_CONSTRAINT_UNIQUE": "unique",
    "SQLITE_CONSTRAINT_FOREIGNKEY": "foreign_key",
    "SQLITE_CONSTRAINT_CHECK": "check",
}

_CLOSED = "08003"
"""connection_does_not_exist: asyncpg's own error. Its cause is the server's last message."""


class ConstraintViolation(Exception):
    """A write violated a constraint. The repository translates it to a domain error.

    Attributes:
        kind: The kind of the constraint.
        columns: The columns of a unique constraint, if the database names them.
    """

    def __init__(self, kind: Constraint, columns: tuple[str, ...] = ()) -> None:
        super().__init__(kind)
        self.kind = kind
        self.columns = columns


@contextmanager
def translate_errors() -> Iterator[None]:
    """Translate errors of the driver, and SQLAlchemy's in migrations.

    The results are `ConstraintViolation` and the errors of `backends.errors`.
    """
    try:
        yield
    except (SQLAlchemyError, sqlite3.Error, OSError) as exc:
        raise translated(exc) from exc


@contextmanager
def connect_errors() -> Iterator[None]:
    """Translate errors of connection attempts."""
    try:
        yield
    except BackendError:
        raise
    except Exception as exc:
        raise translated(exc, is_connecting=True) from exc


def translated(exc: Exception, *, lost: bool = False, is_connecting: bool = False) -> Exception:
    """Translate a driver's error, or SQLAlchemy's wrapper of it.

    Users' data is also removed from the driver's error, because logs show it as the cause.

    Args:
        exc: The error.
        lost: Whether the connection was lost.
        is_connecting: Whether the error occurred while connecting.
    """
    error = _of_driver(exc)
    code = str(getattr(error, "sqlstate", None) or getattr(error, "sqlite_errorname", None) or "")
    if constraint := CONSTRAINT_CODES.get(code):
        is_primary_key = str(getattr(error, "constraint_name", "")).startswith("pk_")
        columns = _columns_of(error) if constraint == "unique" else ()
        return ConstraintViolation("primary_key" if is_primary_key else constraint, columns)
    words = _without_values(error, "" if is_connecting else code)
    if is_connecting and (isinstance(error, OSError) or (code.startswith("08") and code != "08P01")):
        # An empty message means that the server did not respond.
        return connection_error(words, postgres_failures.TERMS, kind="lost" if words else "unavailable")
    if is_connecting and isinstance(error, ValueError):
        return BackendError(f"the URL can't be used: {one_line(words)}")
    failure = _failure(error, code, lost=lost)
    return error_for(failure, code or ("" if failure is not UNKNOWN else type(error).__name__), words)


_SLOW = Failure(
    "unavailable",
    "the database did not answer in time",
    "see what keeps it busy, or raise DB_COMMAND_TIMEOUT_SECONDS",
)


def _failure(error: BaseException, code: str, *, lost: bool) -> Failure:
    """Look up the failure of a code, or of the class that the code belongs to."""
    if isinstance(error, TimeoutError):
        return _SLOW
    while code.startswith("SQLITE_"):
        if code in sqlite_failures.FAILURES:
            return sqlite_failures.FAILURES[code]
        code = code.rpartition("_")[0]
    known = postgres_failures.FAILURES.get(code) or postgres_failures.CLASSES.get(code[:2])
    return known or (postgres_failures.LOST if lost or isinstance(error, OSError) else UNKNOWN)


def _columns_of(error: BaseException) -> tuple[str, ...]:
    """Return the columns of the unique constraint that a driver's error names; empty if it names none."""
    # The words around the columns are in the server's language.
    on_postgres = re.search(r"\(([^()]+)\)=\(", str(getattr(error, "detail", "")))
    if on_postgres:
        return tuple(name.strip('"') for name in on_postgres[1].split(", "))
    _, _, on_sqlite = str(error).partition("UNIQUE constraint failed: ")
    return tuple(name.rpartition(".")[2] for name in on_sqlite.split(", ")) if on_sqlite else ()


def _without_values(error: BaseException, code: str) -> str:
    """Return the driver's message without users' data; remove the data from the error too.

    PostgreSQL's DETAIL contains whole rows. asyncpg's DataError contains the value that it can't encode.
    """
    if not isinstance(error, (OSError, sqlite3.Error)):
        asyncpg_error: Any = error
        if getattr(error, "detail", None):
            asyncpg_error.detail = None
        if code.startswith(postgres_failures.QUOTES_VALUES) or type(error).__name__ == "DataError":
            error.args = (type(error).__name__,)
    return str(error.args[0] if error.args and isinstance(error.args[0], str) else error)


def sqlstate_of(exc: Exception) -> str:
    """Return the SQLSTATE of an error, or an empty string."""
    return str(getattr(_of_driver(exc), "sqlstate", None) or "")


def _of_driver(exc: BaseException) -> BaseException:
    """Unwrap SQLAlchemy's errors; for a closed connection, return the server's last error."""
    if isinstance(exc, DBAPIError) and exc.orig is not None:
        exc = exc.orig.__cause__ or exc.orig
    if getattr(exc, "sqlstate", None) == _CLOSED and hasattr(exc.__cause__, "sqlstate"):
        return cast("BaseException", exc.__cause__)
    return exc
