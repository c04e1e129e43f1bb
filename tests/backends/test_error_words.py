"""Error texts for operators: meaning, the server's message and the remedy, in one line.

A text is never only a code and never contains a user's data.
"""

from __future__ import annotations

import re
import socket
import sqlite3
import ssl
import traceback
from contextlib import closing

import asyncpg
import pytest
from pymongo import errors as pymongo
from sqlalchemy.exc import DBAPIError

from api.errors import CONFLICT, UNAVAILABLE, problem_of
from backends.errors import BackendError, Unavailable
from backends.mongo import errors as mongo
from backends.sql import errors as sql
from tests.backends.test_error_codes import MONGO, POSTGRES, SQLITE, of_postgres, of_sqlite

SERVER_MESSAGE = "what the server said"
SECRET = "alice@example.com"
"""A user's data."""

UNKNOWN_TO_ALL = {"21000", "SQLITE", "SQLITE_EMPTY", 99999}


def domain_error(error: pymongo.PyMongoError) -> BackendError:
    """Return the domain error for PyMongo's error."""
    with pytest.raises(BackendError) as caught, mongo.translate_errors():
        raise error
    return caught.value


def check(message: str, code: object) -> None:
    """Assert that a message has all three parts; `code` is the only part without explanation."""
    assert message == " ".join(message.split())  # One line.
    meaning, _, rest = message.partition(" (")
    said, _, remedy = rest.partition("); ")
    assert len(meaning.split()) > 2, message
    assert said.startswith(str(code)), message
    assert len(remedy.split()) > 1, message
    assert not re.search(r"\b((?=\w*\d)[0-9A-Z]{5}|SQLITE\w*|\d+)$", message), message


@pytest.mark.parametrize("code", POSTGRES)
def test_postgres_error_text_has_all_parts(code: str) -> None:
    """The server's message is quoted, except for codes whose message may quote a value."""
    for error in (
        of_postgres(code, SERVER_MESSAGE),
        DBAPIError("SELECT 1", {}, of_postgres(code, SERVER_MESSAGE)),
    ):
        message = str(sql.translated(error))
        check(message, code)
        assert (SERVER_MESSAGE in message) is not code.startswith(("22", "P0")), message


@pytest.mark.parametrize("code", SQLITE)
def test_sqlite_error_text_has_all_parts(code: str) -> None:
    """Also for an unlisted code of a known kind."""
    message = str(sql.translated(of_sqlite(code, SERVER_MESSAGE)))
    check(message, code)
    assert SERVER_MESSAGE in message


@pytest.mark.parametrize("code", MONGO)
def test_mongo_error_text_has_all_parts(code: int) -> None:
    """For a command, and for the first refused document of many."""
    details = {"code": code, "errmsg": SERVER_MESSAGE}
    errors: list[pymongo.PyMongoError] = [pymongo.OperationFailure(SERVER_MESSAGE, code, details)]
    if code != mongo.DUPLICATE_KEY:
        errors.append(pymongo.BulkWriteError({"writeErrors": [details]}))
    for error in errors:
        message = str(domain_error(error))
        check(message, code)
        assert SERVER_MESSAGE in message


@pytest.mark.parametrize("code", sorted(UNKNOWN_TO_ALL, key=str))
def test_unknown_code_quotes_the_server(code: str | int) -> None:
    """For an unknown code the text has only the server's message."""
    if isinstance(code, int):
        message = str(domain_error(pymongo.OperationFailure(SERVER_MESSAGE, code)))
    elif code.startswith("SQLITE"):
        message = str(sql.translated(of_sqlite(code, SERVER_MESSAGE)))
    else:
        message = str(sql.translated(of_postgres(code, SERVER_MESSAGE)))
    assert message == f"the database failed ({code}: {SERVER_MESSAGE}); its log may say more"


@pytest.mark.parametrize("code", [*POSTGRES, *SQLITE, *MONGO])
def test_error_texts_are_hidden_from_api_clients(code: str | int) -> None:
    """Mapped errors have a constant text; an unmapped error is a 500 with an id."""
    if isinstance(code, int):
        error: Exception = domain_error(pymongo.OperationFailure(SERVER_MESSAGE, code))
    else:
        error = sql.translated(
            (of_sqlite if code.startswith("SQLITE") else of_postgres)(code, SERVER_MESSAGE)
        )
    assert isinstance(error, BackendError)
    problem = problem_of(error)
    assert (problem is None) is (type(error) is BackendError)
    if problem is not None:
        assert problem.status == 503
        assert problem.detail in {UNAVAILABLE.detail, CONFLICT.detail}


def test_full_disk_is_explained() -> None:
    """A database at its size limit, which SQLite reports as a full disk."""
    with closing(sqlite3.connect(":memory:")) as connection:
        connection.execute("PRAGMA max_page_count = 2")
        words = r"^the disk is full, .*\(SQLITE_FULL: database or disk is full\); free space"
        with pytest.raises(Unavailable, match=words), sql.translate_errors():
            connection.executescript("CREATE TABLE a (b); CREATE TABLE c (d)")


def test_long_texts_are_truncated_to_one_line() -> None:
    """The log has one line per error."""
    assert "x" * 300 in str(sql.translated(of_postgres("42601", "x" * 300)))
    assert "x" * 300 + "…" in str(sql.translated(of_postgres("42601", "x" * 301)))
    message = str(sql.translated(of_postgres("42601", "much \n" * 500)))
    assert "\n" not in message
    assert len(message) < 500


# -- what a user gave ----------------------------------------------------------------------------

DOCUMENT = {"_id": 1, "email": SECRET}


@pytest.mark.parametrize(
    "error",
    [
        of_postgres("23502", "null value in column", f"Failing row contains (1, {SECRET})."),
        of_postgres("22P02", f'invalid input syntax for type integer: "{SECRET}"'),
        of_postgres("P0001", f"no {SECRET} here"),
        asyncpg.DataError(f"invalid input for query argument $1: {SECRET!r}"),
    ],
    ids=repr,
)
def test_sql_error_contains_no_user_data(error: Exception) -> None:
    """Neither the error nor its cause in a logged traceback contains a user's data."""
    with pytest.raises(BackendError) as caught:
        raise sql.translated(error) from error
    assert SECRET not in "".join(traceback.format_exception(caught.value))


@pytest.mark.parametrize(
    "error",
    [
        pymongo.OperationFailure(
            f'not authorized on x to execute command {{ insert: "users", documents: [ {SECRET} ] }}',
            13,
            {"errmsg": f"not authorized on x to execute command {{ documents: [ {SECRET} ] }}", "code": 13},
        ),
        pymongo.WriteError(
            "Document failed validation",
            121,
            {"errmsg": "Document failed validation", "code": 121, "errInfo": {"details": DOCUMENT}},
        ),
        pymongo.BulkWriteError(
            {"writeErrors": [{"code": 121, "errmsg": "Document failed validation", "op": DOCUMENT}]}
        ),
        pymongo.OperationFailure(
            f"Cannot create field 'a' in element {{email: \"{SECRET}\"}}", 28, {"code": 28}
        ),
    ],
    ids=lambda error: f"{type(error).__name__}-{error.code}",
)
def test_mongo_error_contains_no_user_data(error: pymongo.PyMongoError) -> None:
    """Neither the error nor its cause in a logged traceback contains a user's data."""
    assert SECRET not in "".join(traceback.format_exception(domain_error(error)))


# -- connections ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("error", "meaning"),
    [
        (ConnectionRefusedError(111, "Connect call failed ('127.0.0.1', 1)"), "nothing listens"),
        (socket.gaierror(-2, "Name or service not known"), "the host name is unknown"),
        (TimeoutError(), "the server did not answer in time"),
        (OSError(101, "Network is unreachable"), "the network is unreachable"),
        (FileNotFoundError(2, "No such file or directory"), "the socket does not exist"),
        (PermissionError(13, "Permission denied"), "permission to open the socket was denied"),
        (ConnectionError('PostgreSQL server at "h:1" rejected SSL upgrade'), "the server refuses TLS"),
        (ConnectionError("unexpected connection_lost() call"), "the server closed the connection"),
        (ConnectionResetError(104, "Connection reset by peer"), "the server closed the connection"),
        (
            asyncpg.ConnectionDoesNotExistError("connection was closed in the middle"),
            "the server closed the connection",
        ),
        (ssl.SSLError(1, "[SSL: WRONG_VERSION_NUMBER] wrong version number"), "the TLS handshake failed"),
        (
            ssl.SSLCertVerificationError(1, "[SSL: CERTIFICATE_VERIFY_FAILED] certificate has expired"),
            "the server's certificate has expired",
        ),
        (
            ssl.SSLCertVerificationError(
                1, "[SSL: CERTIFICATE_VERIFY_FAILED] certificate is not yet valid"
            ),
            "the server's certificate is not valid yet",
        ),
        (
            ssl.SSLError(1, "[SSL: TLSV13_ALERT_CERTIFICATE_REQUIRED] tlsv13 alert certificate required"),
            "the server does not accept the certificate of this client",
        ),
        (
            ssl.SSLCertVerificationError(
                1,
                "[SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed: Hostname mismatch, "
                "certificate is not valid for 'db'.",
            ),
            "the server's certificate is for another host name",
        ),
        (
            ssl.SSLCertVerificationError(1, "[SSL: CERTIFICATE_VERIFY_FAILED] self-signed certificate"),
            "the server's certificate is not trusted",
        ),
        (
            ssl.SSLError(116, "[X509: KEY_VALUES_MISMATCH] key values mismatch"),
            "a certificate or key that DATABASE_URL names can't be used",
        ),
    ],
    ids=str,
)
def test_failed_connection_names_cause_and_remedy(error: Exception, meaning: str) -> None:
    """The system and OpenSSL report codes as text; each has an explanation."""
    with pytest.raises(BackendError) as caught, sql.connect_errors():
        raise error
    message = str(caught.value)
    assert message.startswith(meaning)
    assert len(message.partition("; ")[2].split()) > 2
    assert str(error) in message
