"""The stored form of the outcome of a call with an idempotency key, the same on every backend."""

from __future__ import annotations

import json
from typing import Any

from pydantic import TypeAdapter

from backends import errors
from backends.errors import BackendError, IdempotencyKeyReused, UnreadableRow
from backends.ids import is_id
from backends.models import Account, Idempotency


class EntryId(str):
    """The id of the ledger entry that a call created. The entry itself never changes."""

    __slots__ = ()


class AddedRow(dict[str, Any]):
    """The row of a resource that a call added, in JSON types."""


Success = Account | EntryId | AddedRow
Outcome = Success | BackendError

_ACCOUNT = TypeAdapter(Account)

_REFUSALS: dict[str, type[BackendError]] = {
    name: error
    for name, error in vars(errors).items()
    if isinstance(error, type) and issubclass(error, BackendError)
}


def write_outcome(outcome: Outcome) -> str:
    """Serialise the outcome of a call as JSON, to be stored under its idempotency key."""
    name = type(outcome).__name__
    if isinstance(outcome, EntryId | AddedRow):
        return json.dumps({name: outcome})
    if isinstance(outcome, BackendError):
        # A malformed id may have any length.
        return json.dumps({name: {fact: text[:255] for fact, text in vars(outcome).items()}})
    return f'{{"{name}": {_ACCOUNT.dump_json(outcome).decode()}}}'


def read_outcome(kept: str, kept_fingerprint: str, idempotency: Idempotency) -> Success:
    """Return the stored outcome of a call, or raise it if it is an error.

    Raises:
        IdempotencyKeyReused: The outcome belongs to another request.
        BackendError: The outcome is this error.
    """
    if kept_fingerprint != idempotency.fingerprint:
        raise IdempotencyKeyReused(idempotency.key)
    try:
        outcome = parse_outcome(kept)
    except (ValueError, TypeError) as exc:
        raise UnreadableRow("idempotency_keys", idempotency.key, 'field "outcome" can\'t be read') from exc
    if isinstance(outcome, BackendError):
        raise outcome
    return outcome


def parse_outcome(kept: str) -> Outcome:
    """Parse the JSON that `write_outcome` returns.

    Raises:
        ValueError: The JSON is not an outcome.
        TypeError: The facts of an error are invalid.
    """
    parsed = json.loads(kept)
    if not isinstance(parsed, dict) or len(parsed) != 1:
        raise ValueError("there should be one outcome")
    ((name, facts),) = parsed.items()
    if name == EntryId.__name__ and isinstance(facts, str) and is_id(facts):
        return EntryId(facts)
    if name == AddedRow.__name__ and isinstance(facts, dict):
        return AddedRow(facts)
    if name == Account.__name__:
        return _ACCOUNT.validate_python(facts)
    if name not in _REFUSALS:
        raise ValueError("there is no such outcome")
    return _REFUSALS[name](**facts)
