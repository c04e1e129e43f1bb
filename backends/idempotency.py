"""How the outcome of a call with an idempotency key is kept, on every backend alike."""

from __future__ import annotations

import json

from pydantic import TypeAdapter

from backends import errors
from backends.errors import BackendError, IdempotencyKeyReused
from backends.models import Account, Idempotency


class EntryId(str):
    """The id of the entry that a call made: the ledger has the rest, unchanged for ever."""

    __slots__ = ()


Outcome = Account | EntryId | BackendError

_ACCOUNT = TypeAdapter(Account)


def write_outcome(outcome: Outcome) -> str:
    """Return the outcome of a call as it is kept under its idempotency key: JSON."""
    name = type(outcome).__name__
    if isinstance(outcome, EntryId):
        return json.dumps({name: outcome})
    if isinstance(outcome, BackendError):
        # An id that is no id may be of any length.
        return json.dumps({name: {fact: text[:255] for fact, text in vars(outcome).items()}})
    return f'{{"{name}": {_ACCOUNT.dump_json(outcome).decode()}}}'


def read_outcome(kept: str, kept_fingerprint: str, idempotency: Idempotency) -> Account | EntryId:
    """Return the outcome that was kept for a call.

    Raises:
        IdempotencyKeyReused: It was another call's.
        BackendError: The outcome is this error.
    """
    if kept_fingerprint != idempotency.fingerprint:
        raise IdempotencyKeyReused(idempotency.key)
    ((name, facts),) = json.loads(kept).items()
    if name == EntryId.__name__:
        return EntryId(facts)
    if name == Account.__name__:
        return _ACCOUNT.validate_python(facts)
    raise getattr(errors, name)(**facts)
