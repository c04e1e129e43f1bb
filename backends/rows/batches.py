"""Iteration over all rows of a kind in batches, by keyset pagination."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence

from backends.protocols import Backend
from backends.rows.stored import Fields, Place, RowKind, StoredRow

BATCH = 1000
"""The number of rows per batch."""


async def read_batches(
    backend: Backend, kind: RowKind, by: Sequence[str] = (), *, start: Place | None = None
) -> AsyncIterator[list[StoredRow]]:
    """Read all rows from `start`, ordered by these fields or by the primary key."""
    seen: list[Fields] = []  # the rows at `start`, which the next batch contains again
    while True:
        wanted = BATCH + len(seen)
        found = await backend.read_rows(kind, by=by, start=start, limit=wanted)
        rows = [row for row in found if row.place != start or row.fields not in seen]
        if rows:
            yield rows
        if len(found) < wanted:
            return
        start = found[-1].place
        seen = [row.fields for row in found if row.place == start]
