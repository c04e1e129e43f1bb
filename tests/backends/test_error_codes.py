"""The meaning of each driver error: every row of the error tables, on real driver exceptions.

The expectations are written a second time here, with the exceptions that drivers raise. A row that is
removed or changed fails here; a row that is added needs an expectation.
"""

from __future__ import annotations

import sqlite3
from typing import Any

import asyncpg
import pytest
from pymongo import errors as pymongo
from sqlalchemy.exc import DBAPIError

from backends.errors import BackendError, Conflict, ConnectionLost, PermissionDenied, Unavailable
from backends.mongo import errors as mongo
from backends.mongo import failures as mongo_failures
from backends.sql import errors as sql
from backends.sql import postgres_failures, sqlite_failures

Meaning = type[BackendError]

POSTGRES_CONSTRAINTS: dict[type[asyncpg.PostgresError], sql.Constraint] = {
    asyncpg.UniqueViolationError: "unique",
    asyncpg.ForeignKeyViolationError: "foreign_key",
    asyncpg.CheckViolationError: "check",
}
POSTGRES: dict[str, Meaning] = {
    **dict.fromkeys(["40001", "40P01", "55P03"], Conflict),
    **dict.fromkeys(["53000", "53100", "53200", "53300", "53400", "57014", "25006"], Unavailable),
    **dict.fromkeys(
        ["58000", "58030", "28000", "28P01", "3D000", "42P01", "55000", "55006", "F0000"], Unavailable
    ),
    **dict.fromkeys(["08000", "08003", "08006", "08P01", "40003", "25P03", "25P04"], ConnectionLost),
    **dict.fromkeys(["57P01", "57P02", "57P03", "57P04", "57P05"], ConnectionLost),
    **dict.fromkeys(["42601", "3F000", "23502", "42703", "42704", "42883"], BackendError),
    **dict.fromkeys(["42P07", "42710", "42701", "42P06", "2BP01", "26000", "42P05"], BackendError),
    **dict.fromkeys(["22021", "22P05", "22023", "22003", "0A000", "25P02", "54000"], BackendError),
    **dict.fromkeys(["XX000", "XX001", "XX002", "P0001", "21000"], BackendError),
    # Codes without a row: one of each class, and one of no known class.
    **dict.fromkeys(["28999", "57000"], Unavailable),
    **dict.fromkeys(["42804", "XX999", "99999"], BackendError),
    "42501": PermissionDenied,
}
SQLITE_CONSTRAINTS: dict[str, sql.Constraint] = {
    "SQLITE_CONSTRAINT_PRIMARYKEY": "primary_key",
    "SQLITE_CONSTRAINT_UNIQUE": "unique",
    "SQLITE_CONSTRAINT_FOREIGNKEY": "foreign_key",
    "SQLITE_CONSTRAINT_CHECK": "check",
}
SQLITE: dict[str, Meaning] = {
    **dict.fromkeys(["SQLITE_BUSY_SNAPSHOT", "SQLITE_LOCKED", "SQLITE_LOCKED_SHAREDCACHE"], Conflict),
    **dict.fromkeys(["SQLITE_BUSY", "SQLITE_BUSY_RECOVERY", "SQLITE_INTERRUPT"], Unavailable),
    **dict.fromkeys(["SQLITE_CANTOPEN", "SQLITE_CANTOPEN_ISDIR", "SQLITE_FULL"], Unavailable),
    **dict.fromkeys(["SQLITE_IOERR", "SQLITE_IOERR_WRITE", "SQLITE_PROTOCOL"], Unavailable),
    **dict.fromkeys(["SQLITE_SCHEMA", "SQLITE_NOMEM", "SQLITE_READONLY_DBMOVED"], Unavailable),
    **dict.fromkeys(["SQLITE_READONLY", "SQLITE_READONLY_DIRECTORY"], PermissionDenied),
    **dict.fromkeys(["SQLITE_PERM", "SQLITE_AUTH"], PermissionDenied),
    **dict.fromkeys(["SQLITE_CORRUPT", "SQLITE_CORRUPT_INDEX", "SQLITE_NOTADB"], BackendError),
    **dict.fromkeys(["SQLITE_FORMAT", "SQLITE_NOLFS", "SQLITE_ERROR", "SQLITE_TOOBIG"], BackendError),
    **dict.fromkeys(["SQLITE_CONSTRAINT", "SQLITE_CONSTRAINT_NOTNULL"], BackendError),
    **dict.fromkeys(["SQLITE_MISMATCH", "SQLITE_RANGE", "SQLITE_MISUSE", "SQLITE_INTERNAL"], BackendError),
    **dict.fromkeys(["SQLITE_EMPTY", "SQLITE"], BackendError),
}
MONGO: dict[int, Meaning] = {
    **dict.fromkeys([24, 112, 251], Conflict),
    **dict.fromkeys([6, 7, 11, 18, 31, 39, 50, 64, 79, 89, 91, 100, 133, 134, 146, 189], Unavailable),
    **dict.fromkeys([202, 262, 290, 292, 391, 462, 8000, 9001, 10107], Unavailable),
    **dict.fromkeys([11600, 11601, 11602, 13435, 13436, 14031, 16500], Unavailable),
    **dict.fromkeys([20, 26, 27, 48, 59, 67, 68, 72, 73, 85, 86, 115, 121, 263, 303], BackendError),
    **dict.fromkeys([11000, 13297, 40324, 40415, 99999], BackendError),
    13: PermissionDenied,
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
    (pymongo.BulkWriteError({"writeErrors": [{"code": 112}, {"code": 1}]}), Conflict),
]


def means(error: BaseException, meaning: Meaning) -> bool:
    """Return whether the error has this class, and whether a retry treats it so."""
    if meaning is Unavailable:  # Some of these close their connection.
        return type(error) in {Unavailable, ConnectionLost}
    return type(error) is meaning


def wrapped_by_sqlalchemy(exc: Exception) -> Exception:
    """Return SQLAlchemy's wrapper of a driver error, as in a migration."""
    return DBAPIError("SELECT 1", {}, exc)


def of_postgres(code: str, words: str = "x", detail: str | None = None) -> asyncpg.PostgresError:
    """Return asyncpg's exception for a SQLSTATE."""
    fields = {"S": "ERROR", "C": code, "M": words} | ({"D": detail} if detail else {})
    return asyncpg.PostgresError.new(fields)


def of_sqlite(code: str, words: str = "x") -> sqlite3.Error:
    """Return the `sqlite3` exception for an extended result code."""
    error = sqlite3.OperationalError(words)
    error.sqlite_errorname = code
    return error


@pytest.mark.parametrize("code", POSTGRES)
def test_postgres_error_has_its_meaning(code: str) -> None:
    """The SQLSTATE decides, with or without SQLAlchemy's wrapper."""
    for error in (of_postgres(code), wrapped_by_sqlalchemy(of_postgres(code))):
        assert means(sql.translated(error), POSTGRES[code])


@pytest.mark.parametrize("kind", POSTGRES_CONSTRAINTS, ids=lambda kind: kind.__name__)
def test_postgres_constraint_violation_is_recognised_by_code(kind: type[asyncpg.PostgresError]) -> None:
    """A primary key is a unique constraint whose name starts with `pk_`."""
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
def test_sqlite_error_has_its_meaning(code: str) -> None:
    """The extended result code decides, with or without SQLAlchemy's wrapper."""
    for error in (of_sqlite(code), wrapped_by_sqlalchemy(of_sqlite(code))):
        assert means(sql.translated(error), SQLITE[code])


@pytest.mark.parametrize("code", SQLITE_CONSTRAINTS)
def test_sqlite_constraint_violation_is_recognised_by_code(code: str) -> None:
    """SQLite reports the kind of constraint in the code."""
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
def test_sql_error_without_a_code_has_its_meaning(error: Exception, lost: bool, meaning: Meaning) -> None:  # noqa: FBT001
    """The class decides, and whether the connection was lost."""
    assert means(sql.translated(error, lost=lost), meaning)


@pytest.mark.parametrize("code", MONGO)
def test_mongo_error_has_its_meaning(code: int) -> None:
    """The code decides."""
    with pytest.raises(BackendError) as caught, mongo.translate_errors():
        raise pymongo.OperationFailure("x", code)
    assert means(caught.value, MONGO[code])


@pytest.mark.parametrize(("error", "meaning"), MONGO_CLASSES, ids=repr)
def test_mongo_error_without_a_code_has_its_meaning(error: pymongo.PyMongoError, meaning: Meaning) -> None:
    """The class decides; of several errors, the first."""
    with pytest.raises(BackendError) as caught, mongo.translate_errors():
        raise error
    assert means(caught.value, meaning)


@pytest.mark.parametrize(
    "error",
    [
        pymongo.OperationFailure("x", 13),
        pymongo.AutoReconnect("x"),
        pymongo.ServerSelectionTimeoutError("x"),
    ],
    ids=repr,
)
def test_mongo_label_of_a_transaction_says_more_than_the_error(error: pymongo.PyMongoError) -> None:
    """A transient error of the server is retried, whatever its code."""
    error._add_error_label(mongo.TRANSIENT_TRANSACTION)
    with pytest.raises(Conflict), mongo.translate_errors():
        raise error


@pytest.mark.parametrize(
    ("key_pattern", "fields"),
    [
        ({"_id": 1}, ("id",)),
        ({"email": 1}, ("email",)),
        ({"owner_id": 1, "isbn": 1}, ("owner_id", "isbn")),
        (None, ("id",)),
    ],
)
def test_mongo_duplicate_key_names_the_fields(
    key_pattern: dict[str, int] | None, fields: tuple[str, ...]
) -> None:
    """The fields of the unique index are found for one insert, and for the first refused insert of many."""
    details = {"code": mongo.DUPLICATE_KEY} | ({"keyPattern": key_pattern} if key_pattern else {})
    for error in (
        pymongo.DuplicateKeyError("x", mongo.DUPLICATE_KEY, details),
        pymongo.BulkWriteError({"writeErrors": [details, {"code": 8000}]}),
    ):
        with pytest.raises(mongo.DuplicateKey) as caught, mongo.translate_errors():
            raise error
        assert caught.value.fields == fields


def test_every_row_has_an_expectation() -> None:
    """Every row of the tables has an expectation in this file."""
    assert postgres_failures.FAILURES.keys() <= POSTGRES.keys()
    without_a_row = POSTGRES.keys() - postgres_failures.FAILURES.keys()
    assert postgres_failures.CLASSES.keys() <= {code[:2] for code in without_a_row}
    assert sqlite_failures.FAILURES.keys() <= SQLITE.keys()
    assert mongo_failures.FAILURES.keys() <= MONGO.keys()
    constraints = {*(kind.sqlstate for kind in POSTGRES_CONSTRAINTS), *SQLITE_CONSTRAINTS}
    assert sql.CONSTRAINT_CODES.keys() == constraints
