"""Translates the errors of PyMongo and Motor to `backends.errors`.

Errors are classified by class, code and error label, never by message text. `failures` has the table of
codes and their messages.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from bson.errors import BSONError
from pymongo.errors import (
    BulkWriteError,
    ConfigurationError,
    ConnectionFailure,
    DuplicateKeyError,
    ExecutionTimeout,
    OperationFailure,
    PyMongoError,
    ServerSelectionTimeoutError,
    WaitQueueTimeoutError,
    WTimeoutError,
)

from backends.errors import BackendError
from backends.failures import COLLISION, UNKNOWN, Kind, connection_error, error_for, one_line
from backends.mongo.failures import FAILURES, LOST, MEMBERS, NO_CONNECTION, SLOW, TERMS

TRANSIENT_TRANSACTION = "TransientTransactionError"
UNKNOWN_COMMIT = "UnknownTransactionCommitResult"

DUPLICATE_KEY = 11000


class DuplicateKey(Exception):
    """A unique index rejected a write; the repository knows the entity.

    Attributes:
        fields: The fields of the index in documents; `id` stands for `_id`.
    """

    def __init__(self, *fields: str) -> None:
        super().__init__(*fields)
        self.fields = fields


@contextmanager
def translate_errors() -> Iterator[None]:
    """Translate every driver error to `DuplicateKey` or one of `backends.errors`."""
    try:
        yield
    except DuplicateKeyError as exc:
        raise _duplicate_key(exc.details or {}) from _without_values(exc)
    except BulkWriteError as exc:
        # A bulk write lists every rejected write; in a transaction the first one ends it.
        error: Mapping[str, Any] = next(iter(exc.details["writeErrors"]), {})
        is_duplicate = error.get("code") == DUPLICATE_KEY
        raise (_duplicate_key(error) if is_duplicate else _translated(exc)) from _without_values(exc)
    except PyMongoError as exc:
        raise _translated(exc) from _without_values(exc)
    except (BSONError, OverflowError) as exc:
        raise BackendError(f"a value can't be stored as BSON: {type(exc).__name__}") from exc


@contextmanager
def connect_errors() -> Iterator[None]:
    """Translate the errors of connecting."""
    try:
        yield
    except OperationFailure as exc:
        raise _translated(exc) from _without_values(exc)
    except ConnectionFailure as exc:
        words = _without_documents(str(exc))
        kind: Kind = "unavailable" if exc.timeout else "lost"
        raise connection_error("" if words == "No servers found yet" else words, TERMS, kind=kind) from exc
    except PyMongoError as exc:
        if isinstance(exc, ConfigurationError) and exc.__cause__ is not None and "DNS" in str(exc):
            raise connection_error(str(exc), TERMS, kind="unavailable") from exc  # mongodb+srv only
        raise BackendError(f"the URL can't be used: {one_line(str(exc))}") from exc
    except OSError as exc:
        raise connection_error(str(exc), TERMS, kind="failed") from exc
    except ValueError as exc:
        raise BackendError(f"the URL can't be used: {one_line(str(exc))}") from exc


def _duplicate_key(details: Mapping[str, Any]) -> DuplicateKey:
    fields = details.get("keyPattern", {"_id": 1})
    return DuplicateKey(*("id" if field == "_id" else field for field in fields))


def _translated(exc: PyMongoError) -> BackendError:
    """Return the backend error for a driver's error."""
    code, words = _first(exc)
    if isinstance(exc, ServerSelectionTimeoutError) and not exc.has_error_label(TRANSIENT_TRANSACTION):
        return connection_error(words, TERMS, kind="unavailable")
    if exc.has_error_label(TRANSIENT_TRANSACTION):
        failure = COLLISION
    elif code in FAILURES:
        failure = FAILURES[code]
    elif isinstance(exc, WaitQueueTimeoutError):
        failure = NO_CONNECTION
    elif isinstance(exc, WTimeoutError):
        failure = MEMBERS
    elif exc.timeout or isinstance(exc, ExecutionTimeout):
        failure = SLOW
    else:
        failure = LOST if isinstance(exc, ConnectionFailure) else UNKNOWN
    return error_for(failure, str(code or type(exc).__name__), words)


def _first(exc: PyMongoError) -> tuple[int | None, str]:
    """Return the code and the server's message without user data; of several errors, the first."""
    details: Mapping[str, Any] = (exc.details or {}) if isinstance(exc, OperationFailure) else {}
    error = next(iter(details.get("writeErrors", ())), details)
    code = error.get("code", exc.code if isinstance(exc, OperationFailure) else None)
    return code, _without_documents(str(error.get("errmsg", exc)))


def _without_documents(words: str) -> str:
    """Cut the message where a command, a document or the topology description begins."""
    return re.split(r", full error:|, Timeout:| dup key| ?\{", words, maxsplit=1)[0]


def _without_values(exc: PyMongoError) -> PyMongoError:
    """Return the error with user data removed from its text: the log shows it as the cause."""
    exc.args = (_without_documents(str(exc)), *exc.args[1:])
    return exc
