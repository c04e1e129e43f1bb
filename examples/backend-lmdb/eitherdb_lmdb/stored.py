"""Stored rows, for `eitherdb check --rows`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from heapq import nsmallest
from itertools import islice

import lmdb

from backends.rows import Place, RowKind, StoredRow
from eitherdb_lmdb.keys import walk
from eitherdb_lmdb.tables import stored_fields


def read_rows(
    transaction: lmdb.Transaction, kind: RowKind, *, by: Sequence[str], start: Place | None, limit: int
) -> list[StoredRow]:
    """See `backends.protocols.Backend`. Any order but the key's requires a scan of all rows."""
    if not by:
        prefix = f"{kind}:".encode()
        found = walk(transaction, prefix, start=start[0] if start else b"")
        return [
            StoredRow(stored_fields(kind, text), (key.removeprefix(prefix),))
            for key, text in islice(found, limit)
        ]
    rows = (row for row in _ordered(transaction, kind, by) if start is None or row.place >= start)
    return nsmallest(limit, rows, key=lambda row: row.place)


def _ordered(transaction: lmdb.Transaction, kind: RowKind, by: Sequence[str]) -> Iterator[StoredRow]:
    types = [int if name.endswith("version") else str for name in by]
    for _, text in walk(transaction, f"{kind}:".encode()):
        fields = stored_fields(kind, text)
        place = tuple(fields.get(name) for name in by)
        if all(isinstance(value, type_) for value, type_ in zip(place, types, strict=True)):
            yield StoredRow(fields, place)
