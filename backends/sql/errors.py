"""The one table from what asyncpg, sqlite3 and SQLAlchemy raise to `backends.errors`.

Errors are classified by code: SQLSTATE (https://www.postgresql.org/docs/current/errcodes-appendix.html)
and SQLite's extended result codes (https://www.sqlite.org/rescode.html), never by message text.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal

from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from backends.errors import BackendError, Conflict, ConnectionLost, Unavailable

Constraint = Literal["primary_key", "unique", "foreign_key", "check"]
Kind = Literal["conflict", "unavailable", "lost"]

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

CODES: dict[str, Kind] = {
    # PostgreSQL
    "40001": "conflict",  # serialization_failure
    "40P01": "conflict",  # deadlock_detected
    "55P03": "conflict",  # lock_not_available
    "53300": "unavailable",  # too_many_connections
    "57014": "unavailable",  # query_canceled: statement_timeout
    "57P01": "lost",  # admin_shutdown
    "57P02": "lost",  # crash_shutdown
    "57P03": "lost",  # cannot_connect_now
    "25006": "unavailable",  # read_only_sql_transaction: a standby, or a primary that was demoted
    # SQLite
    "SQLITE_BUSY": "unavailable",  # another process held the write lock for all of busy_timeout
    "SQLITE_BUSY_SNAPSHOT": "conflict",
    "SQLITE_BUSY_RECOVERY": "unavailable",
    "SQLITE_LOCKED": "conflict",
    "SQLITE_CANTOPEN": "unavailable",
    "SQLITE_FULL": "unavailable",
    "SQLITE_INTERRUPT": "unavailable",  # it took longer than the time limit for a command
    "SQLITE_READONLY": "unavailable",
}

# What an operator can mend, and how.
_MENDABLE = {
    # invalid_schema_name
    "3F000": "there is no schema to work in: CREATE SCHEMA what `?search_path=` names",
}

# SQLSTATE classes: 08 connection exceptions; 53 insufficient resources, 58 system errors.
_LOST_CLASS = "08"
_UNAVAILABLE_CLASSES = ("53", "58")


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
    """Translate what fails while connecting, with the driver's own words.

    They are all that an operator has to go by (which password, which database name), and hold no secret.
    """
    try:
        yield
    except (ValueError, OverflowError) as exc:
        raise BackendError(f"the URL can't be used: {exc}") from exc
    except TypeError as exc:
        raise BackendError(f"the URL has a parameter that the driver does not know: {exc}") from exc
    except Exception as exc:
        if isinstance(exc, BackendError):
            raise
        error = translated(exc)
        raise error if isinstance(error, Unavailable) else BackendError(str(_of_driver(exc))) from exc


def translated(exc: Exception, *, lost: bool = False) -> Exception:
    """Return what a driver's error, or SQLAlchemy's around it, means.

    Args:
        exc: The error.
        lost: Whether the connection went with it.
    """
    error = _of_driver(exc)
    code = str(getattr(error, "sqlstate", None) or getattr(error, "sqlite_errorname", None) or "")
    if constraint := CONSTRAINT_CODES.get(code):
        is_primary_key = str(getattr(error, "constraint_name", "")).startswith("pk_")
        return ConstraintViolation("primary_key" if is_primary_key else constraint)
    kind = CODES.get(code)
    if kind == "conflict":
        return Conflict(f"concurrent changes collided ({code})")
    if kind == "unavailable" or code.startswith(_UNAVAILABLE_CLASSES):
        return Unavailable(f"the database is not available ({code})")
    if isinstance(error, TimeoutError):
        return Unavailable("the database did not answer in time")
    if kind == "lost" or code.startswith(_LOST_CLASS) or lost or isinstance(error, OSError):
        return ConnectionLost(f"the database is not available ({code or 'connection lost'})")
    return BackendError(_MENDABLE.get(code) or f"the database failed with {code or type(error).__name__}")


def _of_driver(exc: BaseException) -> BaseException:
    """Return the driver's own error within SQLAlchemy's."""
    if not isinstance(exc, DBAPIError) or exc.orig is None:
        return exc
    return exc.orig.__cause__ or exc.orig
