"""What each error of a driver means: every row of the error tables, on the driver's own exceptions.

The expectations are written down a second time, by the exceptions that drivers raise. A row that is removed
or changed fails here; a row that is added needs an expectation.
"""

from __future__ import annotations

import sqlite3
from typing import Any

import asyncpg
import pytest
from pymongo import errors as pymongo
from sqlalchemy.exc import DBAPIError

from backends.errors import BackendError, Conflict, ConnectionLost, Unavailable
from backends.mongo import errors as mongo
from backends.sql import errors as sql

Meaning = type[BackendError]

POSTGRES_CONSTRAINTS: dict[type[asyncpg.PostgresError], sql.Constraint] = {
    asyncpg.UniqueViolationError: "unique",
    asyncpg.ForeignKeyViolationError: "foreign_key",
    asyncpg.CheckViolationError: "check",
}
POSTGRES: dict[type[asyncpg.PostgresError], Meaning] = {
    asyncpg.SerializationError: Conflict,
    asyncpg.DeadlockDetectedError: Conflict,
    asyncpg.LockNotAvailableError: Conflict,
    asyncpg.InsufficientResourcesError: Unavailable,
    asyncpg.DiskFullError: Unavailable,
    asyncpg.OutOfMemoryError: Unavailable,
    asyncpg.TooManyConnectionsError: Unavailable,
    asyncpg.QueryCanceledError: Unavailable,
    asyncpg.ReadOnlySQLTransactionError: Unavailable,
    asyncpg.PostgresSystemError: Unavailable,
    asyncpg.PostgresIOError: Unavailable,
    asyncpg.AdminShutdownError: ConnectionLost,
    asyncpg.CrashShutdownError: ConnectionLost,
    asyncpg.CannotConnectNowError: ConnectionLost,
    asyncpg.PostgresConnectionError: ConnectionLost,
    asyncpg.ConnectionDoesNotExistError: ConnectionLost,
    asyncpg.ConnectionFailureError: ConnectionLost,
    asyncpg.PostgresSyntaxError: BackendError,
    asyncpg.InvalidSchemaNameError: BackendError,
    asyncpg.NotNullViolationError: BackendError,
}
SQLITE_CONSTRAINTS: dict[str, sql.Constraint] = {
    "SQLITE_CONSTRAINT_PRIMARYKEY": "primary_key",
    "SQLITE_CONSTRAINT_UNIQUE": "unique",
    "SQLITE_CONSTRAINT_FOREIGNKEY": "foreign_key",
    "SQLITE_CONSTRAINT_CHECK": "check",
}
SQLITE: dict[str, Meaning] = {
    "SQLITE_BUSY": Unavailable,
    "SQLITE_BUSY_RECOVERY": Unavailable,
    "SQLITE_BUSY_SNAPSHOT": Conflict,
    "SQLITE_LOCKED": Conflict,
    "SQLITE_CANTOPEN": Unavailable,
    "SQLITE_FULL": Unavailable,
    "SQLITE_INTERRUPT": Unavailable,
    "SQLITE_READONLY": Unavailable,
    "SQLITE_CORRUPT": BackendError,
    "SQLITE_CONSTRAINT_NOTNULL": BackendError,
}
MONGO: dict[int, Meaning] = {
    24: Conflict,
    112: Conflict,
    251: Conflict,
    6: Unavailable,
    7: Unavailable,
    50: Unavailable,
    64: Unavailable,
    79: Unavailable,
    89: Unavailable,
    91: Unavailable,
    100: Unavailable,
    189: Unavailable,
    262: Unavailable,
    9001: Unavailable,
    10107: Unavailable,
    11600: Unavailable,
    11602: Unavailable,
    13435: Unavailable,
    13436: Unavailable,
    8000: BackendError,
}
MONGO_CLASSES: list[tuple[pymongo.PyMongoError, Meaning]] = [
    (pymongo.AutoReconnect("x"), ConnectionLost),
    (pymongo.NotPrimaryError("x"), ConnectionLost),
    (pymongo.ConnectionFailure("x"), ConnectionLost),
    (pymongo.NetworkTimeout("x"), Unavailable),
    (pymongo.ServerSelectionTimeoutError("x"), Unavailable),
    (pymongo.WaitQueueTimeoutError("x"), Unavailable),
    (pymongo.ExecutionTimeout("x"), Unavailable),
    (pymongo.WTimeoutError("x"), Unavailable),
    (pymongo.OperationFailure("x"), BackendError),
    (pymongo.InvalidOperation("x"), BackendError),
    (pymongo.BulkWriteError({"writeErrors": []}), BackendError),
]


def means(error: BaseException, meaning: Meaning) -> bool:
    """Tell whether an error is of a class, and a retry does with it what it does with that class."""
    if meaning is Unavailable:  # some of these take their connection with them
        return isinstance(error, Unavailable) and not isinstance(error, Conflict)
    return type(error) is meaning


def by_sqlalchemy(exc: Exception) -> Exception:
    """Return what SQLAlchemy makes of a driver's error, where it runs a migration."""
    return DBAPIError("SELECT 1", {}, exc)


def of_sqlite(code: str) -> sqlite3.Error:
    """Return the error that `sqlite3` raises for an extended result code."""
    error = sqlite3.OperationalError("x")
    error.sqlite_errorname = code
    return error


@pytest.mark.parametrize("kind", POSTGRES, ids=lambda kind: kind.__name__)
def test_postgres_error_means(kind: type[asyncpg.PostgresError]) -> None:
    """By its SQLSTATE, whether or not SQLAlchemy has wrapped it."""
    for error in (kind("x"), by_sqlalchemy(kind("x"))):
        assert means(sql.translated(error), POSTGRES[kind])


@pytest.mark.parametrize("kind", POSTGRES_CONSTRAINTS, ids=lambda kind: kind.__name__)
def test_postgres_constraint_violation_is_told_by_code(kind: type[asyncpg.PostgresError]) -> None:
    """A primary key is a unique constraint whose name begins with `pk_`."""
    error: Any = kind("x")
    names = {None: POSTGRES_CONSTRAINTS[kind], "uq_users_email": POSTGRES_CONSTRAINTS[kind]}
    if kind is asyncpg.UniqueViolationError:
        names["pk_users"] = "primary_key"
    for name, expected in names.items():
        error.constraint_name = name
        violation = sql.translated(error)
        assert isinstance(violation, sql.ConstraintViolation)
        assert violation.kind == expected


@pytest.mark.parametrize("code", SQLITE)
def test_sqlite_error_means(code: str) -> None:
    """By its extended result code, whether or not SQLAlchemy has wrapped it."""
    for error in (of_sqlite(code), by_sqlalchemy(of_sqlite(code))):
        assert means(sql.translated(error), SQLITE[code])


@pytest.mark.parametrize("code", SQLITE_CONSTRAINTS)
def test_sqlite_constraint_violation_is_told_by_code(code: str) -> None:
    """SQLite says itself which kind it was."""
    violation = sql.translated(of_sqlite(code))
    assert isinstance(violation, sql.ConstraintViolation)
    assert violation.kind == SQLITE_CONSTRAINTS[code]


@pytest.mark.parametrize(
    ("error", "lost", "meaning"),
    [
        (asyncpg.InterfaceError("x"), True, ConnectionLost),
        (asyncpg.InterfaceError("x"), False, BackendError),
        (ConnectionResetError(), False, ConnectionLost),
        (OSError(), False, ConnectionLost),
        (TimeoutError(), False, Unavailable),
        (TimeoutError(), True, Unavailable),
        (asyncpg.SerializationError("x"), True, Conflict),
        (asyncpg.QueryCanceledError("x"), True, Unavailable),
    ],
    ids=repr,
)
def test_sql_error_without_a_code_means(error: Exception, lost: bool, meaning: Meaning) -> None:  # noqa: FBT001
    """By its class, and by whether the connection went with it."""
    assert means(sql.translated(error, lost=lost), meaning)


@pytest.mark.parametrize("code", MONGO)
def test_mongo_error_means(code: int) -> None:
    """By its code."""
    with pytest.raises(BackendError) as caught, mongo.translate_errors():
        raise pymongo.OperationFailure("x", code)
    assert means(caught.value, MONGO[code])


@pytest.mark.parametrize(("error", "meaning"), MONGO_CLASSES, ids=repr)
def test_mongo_error_without_a_code_means(error: pymongo.PyMongoError, meaning: Meaning) -> None:
    """By its class."""
    with pytest.raises(BackendError) as caught, mongo.translate_errors():
        raise error
    assert means(caught.value, meaning)


@pytest.mark.parametrize(
    "error", [pymongo.OperationFailure("x", 8000), pymongo.AutoReconnect("x")], ids=repr
)
def test_mongo_label_of_a_transaction_says_more_than_the_error(error: pymongo.PyMongoError) -> None:
    """What the server calls transient is tried again, whatever it was."""
    error._add_error_label(mongo.TRANSIENT_TRANSACTION)
    with pytest.raises(Conflict), mongo.translate_errors():
        raise error


@pytest.mark.parametrize(
    ("key_pattern", "field"), [({"_id": 1}, "id"), ({"email": 1}, "email"), (None, "id")]
)
def test_mongo_duplicate_key_names_the_field(key_pattern: dict[str, int] | None, field: str) -> None:
    """Of one insert and of the first that was refused of many."""
    details = {"code": mongo.DUPLICATE_KEY} | ({"keyPattern": key_pattern} if key_pattern else {})
    for error in (
        pymongo.DuplicateKeyError("x", mongo.DUPLICATE_KEY, details),
        pymongo.BulkWriteError({"writeErrors": [details, {"code": 8000}]}),
    ):
        with pytest.raises(mongo.DuplicateKey) as caught, mongo.translate_errors():
            raise error
        assert caught.value.field == field


def test_every_row_has_an_expectation() -> None:
    """Above: whoever adds a row says what it is to mean."""
    postgres = {kind.sqlstate for kind in (*POSTGRES, *POSTGRES_CONSTRAINTS)}
    rows = {*sql.CODES, *sql.CONSTRAINT_CODES}
    assert rows <= {*postgres, *SQLITE, *SQLITE_CONSTRAINTS}
    assert MONGO.keys() >= mongo.CONFLICT_CODES | mongo.UNAVAILABLE_CODES
