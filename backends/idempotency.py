"""How the outcome of a call with an idempotency key is kept, on every backend alike."""

from __future__ import annotations

import json
from typing import Any

from pydantic import TypeAdapter

from backends import errors
from backends.errors import BackendError, IdempotencyKeyReused
from backends.models import Account, Idempotency, Transfer

Outcome = Account | Transfer | BackendError

_ENTITIES: dict[str, TypeAdapter[Any]] = {
    "Account": TypeAdapter(Account),
    "Transfer": TypeAdapter(Transfer),
}


def write_outcome(outcome: Outcome) -> str:
    """Return the outcome of a call as it is kept under its idempotency key: JSON."""
    name = type(outcome).__name__
    if isinstance(outcome, BackendError):
        # An id that is no id may be of any length.
        return json.dumps({name: {fact: text[:255] for fact, text in vars(outcome).items()}})
    return f'{{"{name}": {_ENTITIES[name].dump_json(outcome).decode()}}}'


def read_outcome(kept: str, kept_fingerprint: str, idempotency: Idempotency) -> Account | Transfer:
    """Return the outcome that was kept for a call.

    Raises:
        IdempotencyKeyReused: It was another call's.
        BackendError: The outcome is this error.
    """
    if kept_fingerprint != idempotency.fingerprint:
        raise IdempotencyKeyReused(idempotency.key)
    ((name, facts),) = json.loads(kept).items()
    if name in _ENTITIES:
        return _ENTITIES[name].validate_python(facts)  # type: ignore[no-any-return]  # of these two
    raise getattr(errors, name)(**facts)
