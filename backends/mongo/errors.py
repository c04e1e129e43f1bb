"""The one table from what PyMongo and Motor raise to `backends.errors`.

Errors are classified by class, by code (https://www.mongodb.com/docs/manual/reference/error-codes/) and
by the label that the server attaches, never by message text.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from bson.errors import BSONError
from pymongo.errors import (
    BulkWriteError,
    ConnectionFailure,
    DuplicateKeyError,
    ExecutionTimeout,
    OperationFailure,
    PyMongoError,
    WTimeoutError,
)

from backends.errors import BackendError, Conflict, ConnectionLost, Unavailable

TRANSIENT_TRANSACTION = "TransientTransactionError"
UNKNOWN_COMMIT = "UnknownTransactionCommitResult"

DUPLICATE_KEY = 11000

CONFLICT_CODES = {
    112,  # WriteConflict
    251,  # NoSuchTransaction: the server gave it up
    24,  # LockTimeout
}
UNAVAILABLE_CODES = {
    6,  # HostUnreachable
    7,  # HostNotFound
    50,  # MaxTimeMSExpired
    64,  # WriteConcernFailed
    79,  # UnknownReplWriteConcern
    89,  # NetworkTimeout
    91,  # ShutdownInProgress
    100,  # UnsatisfiableWriteConcern
    189,  # PrimarySteppedDown
    262,  # ExceededTimeLimit
    9001,  # SocketException
    10107,  # NotWritablePrimary
    11600,  # InterruptedAtShutdown
    11602,  # InterruptedDueToReplStateChange
    13435,  # NotPrimaryNoSecondaryOk
    13436,  # NotPrimaryOrSecondary
}


class DuplicateKey(Exception):
    """A unique index refused a write; the repository says which entity's it is."""

    def __init__(self, field: str) -> None:
        super().__init__(field)
        self.field = field


@contextmanager
def translate_errors() -> Iterator[None]:
    """Turn every failure of a driver into `DuplicateKey` or one of `backends.errors`."""
    try:
        yield
    except DuplicateKeyError as exc:
        raise _duplicate_key(exc.details or {}) from exc
    except BulkWriteError as exc:
        # What many inserts were refused for; the first that was ends a transaction.
        error: Mapping[str, Any] = next(iter(exc.details["writeErrors"]), {})
        raise (_duplicate_key(error) if error.get("code") == DUPLICATE_KEY else _translated(exc)) from exc
    except PyMongoError as exc:
        raise _translated(exc) from exc
    except (BSONError, OverflowError) as exc:
        raise BackendError(f"the value can't be stored: {type(exc).__name__}") from exc


@contextmanager
def connect_errors() -> Iterator[None]:
    """Translate what fails while connecting, with the driver's own words.

    They are all that an operator has to go by (which host, which credentials), and hold no secret.
    """
    try:
        yield
    except PyMongoError as exc:
        # What follows describes the topology, object by object.
        words = str(exc).partition(", Timeout:")[0].partition(", full error:")[0]
        raise type(_translated(exc))(words) from exc
    except ValueError as exc:
        raise BackendError(f"the URL can't be parsed: {exc}") from exc


def _duplicate_key(details: Mapping[str, Any]) -> DuplicateKey:
    field = next(iter(details.get("keyPattern", {"_id": 1})))
    return DuplicateKey("id" if field == "_id" else field)


def _translated(exc: PyMongoError) -> BackendError | Unavailable | Conflict:
    if exc.has_error_label(TRANSIENT_TRANSACTION):
        return Conflict("concurrent changes collided (TransientTransactionError)")
    code = exc.code if isinstance(exc, OperationFailure) else None
    if code in CONFLICT_CODES:
        return Conflict(f"concurrent changes collided ({code})")
    if exc.timeout or code in UNAVAILABLE_CODES or isinstance(exc, (ExecutionTimeout, WTimeoutError)):
        return Unavailable(f"the database is not available ({code or type(exc).__name__})")
    if isinstance(exc, ConnectionFailure):
        return ConnectionLost(f"the database is not available ({type(exc).__name__})")
    return BackendError(f"the database failed with {code or type(exc).__name__}")
