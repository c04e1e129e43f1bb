"""The one table from what asyncpg, sqlite3 and SQLAlchemy raise to `backends.errors`.

Errors are classified by code: SQLSTATE (https://www.postgresql.org/docs/current/errcodes-appendix.html)
and SQLite's extended result codes (https://www.sqlite.org/rescode.html), never by message text.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal, NoReturn

from sqlalchemy.exc import DBAPIError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from backends.errors import BackendError, Conflict, ConnectionLost, Unavailable

Constraint = Literal["primary_key", "unique", "foreign_key"]
Kind = Literal["conflict", "unavailable", "lost"]

CONSTRAINT_CODES: dict[str, Constraint] = {
    # PostgreSQL. A primary key is told from another unique constraint by its name, below.
    "23505": "unique",  # unique_violation
    "23503": "foreign_key",  # foreign_key_violation
    # SQLite
    "SQLITE_CONSTRAINT_PRIMARYKEY": "primary_key",
    "SQLITE_CONSTRAINT_UNIQUE": "unique",
    "SQLITE_CONSTRAINT_FOREIGNKEY": "foreign_key",
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
    """Turn every failure of a driver into `ConstraintViolation` or one of `backends.errors`."""
    try:
        yield
    except DBAPIError as exc:
        _raise_for(exc)
    except PoolTimeoutError as exc:
        raise Unavailable("no database connection became free in time") from exc
    except SQLAlchemyError as exc:
        raise BackendError(f"the database driver failed: {type(exc).__name__}") from exc
    except (TimeoutError, OSError) as exc:
        # asyncpg lets these through unwrapped while it connects and when its time limit strikes.
        error = Unavailable if isinstance(exc, TimeoutError) else ConnectionLost
        raise error(f"the database did not answer: {str(exc) or type(exc).__name__}") from exc


def _raise_for(exc: DBAPIError) -> NoReturn:
    driver_error = exc.orig.__cause__ if exc.orig and exc.orig.__cause__ else exc.orig
    code = str(getattr(driver_error, "sqlstate", "") or getattr(driver_error, "sqlite_errorname", ""))
    if constraint := CONSTRAINT_CODES.get(code):
        is_primary_key = str(getattr(driver_error, "constraint_name", "")).startswith("pk_")
        raise ConstraintViolation("primary_key" if is_primary_key else constraint) from exc
    kind = CODES.get(code)
    if kind == "conflict":
        raise Conflict(f"concurrent changes collided ({code})") from exc
    if kind == "unavailable" or code.startswith(_UNAVAILABLE_CLASSES):
        raise Unavailable(f"the database is not available ({code})") from exc
    if isinstance(driver_error, TimeoutError):
        raise Unavailable("the database did not answer in time") from exc
    if (
        kind == "lost"
        or code.startswith(_LOST_CLASS)
        or exc.connection_invalidated
        or isinstance(driver_error, OSError)
    ):
        raise ConnectionLost(f"the database is not available ({code or 'connection lost'})") from exc
    raise BackendError(f"the database failed with {code or type(driver_error).__name__}") from exc
