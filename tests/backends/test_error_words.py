"""What an operator reads of an error: what it means, what the server said and what mends it, in one line.

Never a code alone, and never what a user gave.
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

WORDS = "what the server said"
SECRET = "alice@example.com"
"""Something that a user gave."""

UNKNOWN_TO_ALL = {"21000", "SQLITE", "SQLITE_EMPTY", 99999}


def of_mongo(error: pymongo.PyMongoError) -> BackendError:
    """Return what is made of PyMongo's error."""
    with pytest.raises(BackendError) as caught, mongo.translate_errors():
        raise error
    return caught.value


def check(message: str, code: object) -> None:
    """See that a message has all three parts; `code` is the only bare thing in it."""
    assert message == " ".join(message.split())  # one line
    meaning, _, rest = message.partition(" (")
    said, _, remedy = rest.partition("); ")
    assert len(meaning.split()) > 2, message
    assert said.startswith(str(code)), message
    assert len(remedy.split()) > 1, message
    assert not re.search(r"\b((?=\w*\d)[0-9A-Z]{5}|SQLITE\w*|\d+)$", message), message


@pytest.mark.parametrize("code", POSTGRES)
def test_postgres_error_has_meaning_words_and_remedy(code: str) -> None:
    """The words are the server's, but for codes whose words may quote a value."""
    for error in (of_postgres(code, WORDS), DBAPIError("SELECT 1", {}, of_postgres(code, WORDS))):
        message = str(sql.translated(error))
        check(message, code)
        assert (WORDS in message) is not code.startswith(("22", "P0")), message


@pytest.mark.parametrize("code", SQLITE)
def test_sqlite_error_has_meaning_words_and_remedy(code: str) -> None:
    """A code of a kind that is not known by itself too."""
    message = str(sql.translated(of_sqlite(code, WORDS)))
    check(message, code)
    assert WORDS in message


@pytest.mark.parametrize("code", MONGO)
def test_mongo_error_has_meaning_words_and_remedy(code: int) -> None:
    """Of a command, and of the first document that was refused of many."""
    details = {"code": code, "errmsg": WORDS}
    errors: list[pymongo.PyMongoError] = [pymongo.OperationFailure(WORDS, code, details)]
    if code != mongo.DUPLICATE_KEY:
        errors.append(pymongo.BulkWriteError({"writeErrors": [details]}))
    for error in errors:
        message = str(of_mongo(error))
        check(message, code)
        assert WORDS in message


@pytest.mark.parametrize("code", sorted(UNKNOWN_TO_ALL, key=str))
def test_unknown_code_leaves_the_word_to_the_server(code: str | int) -> None:
    """Its own message is all that there is."""
    if isinstance(code, int):
        message = str(of_mongo(pymongo.OperationFailure(WORDS, code)))
    elif code.startswith("SQLITE"):
        message = str(sql.translated(of_sqlite(code, WORDS)))
    else:
        message = str(sql.translated(of_postgres(code, WORDS)))
    assert message == f"the database failed ({code}: {WORDS}); its log may say more"


@pytest.mark.parametrize("code", [*POSTGRES, *SQLITE, *MONGO])
def test_clients_of_the_api_see_nothing_of_it(code: str | int) -> None:
    """What has a problem has constant words; what has none is a 500 with an id."""
    if isinstance(code, int):
        error: Exception = of_mongo(pymongo.OperationFailure(WORDS, code))
    else:
        error = sql.translated((of_sqlite if code.startswith("SQLITE") else of_postgres)(code, WORDS))
    assert isinstance(error, BackendError)
    problem = problem_of(error)
    assert (problem is None) is (type(error) is BackendError)
    if problem is not None:
        assert problem.status == 503
        assert problem.detail in {UNAVAILABLE.detail, CONFLICT.detail}


def test_full_disk_is_told() -> None:
    """Of a database that may grow no more, which is the same to SQLite."""
    with closing(sqlite3.connect(":memory:")) as connection:
        connection.execute("PRAGMA max_page_count = 2")
        words = r"^the disk is full, .*\(SQLITE_FULL: database or disk is full\); make room"
        with pytest.raises(Unavailable, match=words), sql.translate_errors():
            connection.executescript("CREATE TABLE a (b); CREATE TABLE c (d)")


def test_long_words_are_cut_and_line_ends_are_blanks() -> None:
    """A log has a line for each error."""
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
def test_sql_error_shows_nothing_that_a_user_gave(error: Exception) -> None:
    """Neither by itself nor as the cause of what the log shows with a traceback."""
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
def test_mongo_error_shows_nothing_that_a_user_gave(error: pymongo.PyMongoError) -> None:
    """Neither by itself nor as the cause of what the log shows with a traceback."""
    assert SECRET not in "".join(traceback.format_exception(of_mongo(error)))


# -- connections ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("error", "meaning"),
    [
        (ConnectionRefusedError(111, "Connect call failed ('127.0.0.1', 1)"), "nothing listens"),
        (socket.gaierror(-2, "Name or service not known"), "the host's name is unknown"),
        (TimeoutError(), "the server did not answer in time"),
        (OSError(101, "Network is unreachable"), "no way leads to this address"),
        (FileNotFoundError(2, "No such file or directory"), "there is no such socket"),
        (PermissionError(13, "Permission denied"), "this user may not open the socket"),
        (ConnectionError('PostgreSQL server at "h:1" rejected SSL upgrade'), "what answers refuses TLS"),
        (ConnectionError("unexpected connection_lost() call"), "the server hung up"),
        (ConnectionResetError(104, "Connection reset by peer"), "the server hung up"),
        (asyncpg.ConnectionDoesNotExistError("connection was closed in the middle"), "the server hung up"),
        (ssl.SSLError(1, "[SSL: WRONG_VERSION_NUMBER] wrong version number"), "TLS could not be agreed on"),
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
def test_failed_connection_says_why_and_what_mends_it(error: Exception, meaning: str) -> None:
    """The system and OpenSSL give their codes as text; none is left alone."""
    with pytest.raises(BackendError) as caught, sql.connect_errors():
        raise error
    message = str(caught.value)
    assert message.startswith(meaning)
    assert len(message.partition("; ")[2].split()) > 2
    assert str(error) in message
