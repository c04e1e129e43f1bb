"""The one way from what asyncpg, sqlite3 and SQLAlchemy raise to `backends.errors`.

Errors are classified by code, never by message text: `postgres_failures` and `sqlite_failures` have the
tables, and the words for an operator.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Literal, cast

from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from backends.errors import BackendError
from backends.failures import UNKNOWN, Failure, connecting, described, one_line
from backends.sql import postgres_failures, sqlite_failures

Constraint = Literal["primary_key", "unique", "foreign_key", "check"]

CONSTRAINT_CODES: dict[str, Constraint] = {
    # PostgreSQL. A primary key is told from another unique constraint by its name, below.
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
"""connection_does_not_exist: asyncpg's own, whose cause is what the server said before it hung up."""


class ConstraintViolation(Exception):
    """A constraint refused a write; the repository, which knows the values, says what it means."""

    def __init__(self, kind: Constraint) -> None:
        super().__init__(kind)
        self.kind = kind


@contextmanager
def translate_errors() -> Iterator[None]:
    """Turn every failure of a driver into `ConstraintViolation` or one of `backends.errors`.

    The driver's own errors, and what SQLAlchemy makes of them where it runs a migration.
    """
    try:
        yield
    except (SQLAlchemyError, sqlite3.Error, OSError) as exc:
        raise translated(exc) from exc


@contextmanager
def connect_errors() -> Iterator[None]:
    """Translate what fails while connecting."""
    try:
        yield
    except BackendError:
        raise
    except Exception as exc:
        raise translated(exc, is_connecting=True) from exc


def translated(exc: Exception, *, lost: bool = False, is_connecting: bool = False) -> Exception:
    """Return what a driver's error, or SQLAlchemy's around it, means.

    What a user gave is taken out of the driver's own error too, because the log shows it as the cause.

    Args:
        exc: The error.
        lost: Whether the connection went with it.
        is_connecting: Whether there was no connection yet.
    """
    error = _of_driver(exc)
    code = str(getattr(error, "sqlstate", None) or getattr(error, "sqlite_errorname", None) or "")
    if constraint := CONSTRAINT_CODES.get(code):
        is_primary_key = str(getattr(error, "constraint_name", "")).startswith("pk_")
        return ConstraintViolation("primary_key" if is_primary_key else constraint)
    words = _without_values(error, "" if is_connecting else code)
    if is_connecting and (isinstance(error, OSError) or (code.startswith("08") and code != "08P01")):
        # Without words nobody answered.
        return connecting(words, postgres_failures.TERMS, kind="lost" if words else "unavailable")
    if is_connecting and isinstance(error, ValueError):
        return BackendError(f"the URL can't be used: {one_line(words)}")
    failure = _failure(error, code, lost=lost)
    return described(failure, code or ("" if failure is not UNKNOWN else type(error).__name__), words)


_SLOW = Failure(
    "unavailable",
    "the database did not answer in time",
    "see what keeps it busy, or raise DB_COMMAND_TIMEOUT_SECONDS",
)


def _failure(error: BaseException, code: str, *, lost: bool) -> Failure:
    """Look a code up: as it is, then what it is a kind of."""
    if isinstance(error, TimeoutError):
        return _SLOW
    while code.startswith("SQLITE_"):
        if code in sqlite_failures.FAILURES:
            return sqlite_failures.FAILURES[code]
        code = code.rpartition("_")[0]
    known = postgres_failures.FAILURES.get(code) or postgres_failures.CLASSES.get(code[:2])
    return known or (postgres_failures.LOST if lost or isinstance(error, OSError) else UNKNOWN)


def _without_values(error: BaseException, code: str) -> str:
    """Return what the driver said without what a user gave; take that out of the error itself too.

    PostgreSQL's DETAIL has whole rows, asyncpg's message the value that it can't send.
    """
    if not isinstance(error, (OSError, sqlite3.Error)):
        asyncpg_error: Any = error
        if getattr(error, "detail", None):
            asyncpg_error.detail = None
        if code.startswith(postgres_failures.QUOTES_VALUES) or type(error).__name__ == "DataError":
            error.args = (type(error).__name__,)
    return str(error.args[0] if error.args and isinstance(error.args[0], str) else error)


def sqlstate_of(exc: Exception) -> str:
    """Return PostgreSQL's code; empty where it has none."""
    return str(getattr(_of_driver(exc), "sqlstate", None) or "")


def _of_driver(exc: BaseException) -> BaseException:
    """Return the driver's own error within SQLAlchemy's; of a closed connection, what the server said."""
    if isinstance(exc, DBAPIError) and exc.orig is not None:
        exc = exc.orig.__cause__ or exc.orig
    if getattr(exc, "sqlstate", None) == _CLOSED and hasattr(exc.__cause__, "sqlstate"):
        return cast("BaseException", exc.__cause__)
    return exc
