"""The stored outcomes of calls with idempotency keys."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

from sqlalchemy import bindparam, insert, select

from backends.idempotency import Outcome, Success, read_outcome, write_outcome
from backends.sql.schema import IDEMPOTENCY_KEYS

if TYPE_CHECKING:
    from backends.models import Idempotency
    from backends.sql.connections import Connections

KEEP_OUTCOME = insert(IDEMPOTENCY_KEYS)
"""Takes `outcome_row`. If the key has an outcome already, the primary key is violated."""

_OUTCOME = select(IDEMPOTENCY_KEYS).where(
    IDEMPOTENCY_KEYS.c.owner_id == bindparam("owner_id"), IDEMPOTENCY_KEYS.c.key == bindparam("key")
)


def outcome_row(
    outcome: Outcome, owner_id: str, idempotency: Idempotency, *, now: datetime
) -> dict[str, Any]:
    """Return the row of an outcome."""
    return {
        "owner_id": owner_id,
        "key": idempotency.key,
        "fingerprint": idempotency.fingerprint,
        "outcome": write_outcome(outcome),
        "created_at": now,
    }


async def find_outcome(connections: Connections, owner_id: str, idempotency: Idempotency) -> Success | None:
    """Return the stored outcome, or None; raise it if it is an error.

    Raises:
        IdempotencyKeyReused: The outcome belongs to another request.
    """
    rows = await connections.look_up(_OUTCOME, {"owner_id": owner_id, "key": idempotency.key})
    return read_outcome(rows[0]["outcome"], rows[0]["fingerprint"], idempotency) if rows else None
