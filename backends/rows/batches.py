"""All rows of a kind, in batches: each begins where the one before ended."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence

from backends.protocols import Backend
from backends.rows.stored import Fields, Place, RowKind, StoredRow

BATCH = 1000
"""How many rows are read at once."""


async def read_batches(
    backend: Backend, kind: RowKind, by: Sequence[str] = (), *, start: Place | None = None
) -> AsyncIterator[list[StoredRow]]:
    """Read all rows in the order of these fields, from a place on; by default in the key's."""
    seen: list[Fields] = []  # those at `start`, with which the next batch begins
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
