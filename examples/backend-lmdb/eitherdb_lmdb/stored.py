"""Stored rows, for `eitherdb check --rows`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import date, datetime
from decimal import Decimal
from heapq import nsmallest
from itertools import islice

import lmdb

from backends.models.resources import ResourceSpec
from backends.rows import Place, RowKind, StoredRow
from eitherdb_lmdb.keys import walk
from eitherdb_lmdb.tables import stored_fields

_TYPES = {"integer": int, "decimal": Decimal, "time": datetime, "date": date}
"""The types of the fields in unique groups by their kinds; the others are texts."""


def read_rows(
    transaction: lmdb.Transaction,
    kind: RowKind,
    spec: ResourceSpec | None,
    *,
    by: Sequence[str],
    start: Place | None,
    limit: int,
) -> list[StoredRow]:
    """See `backends.protocols.Backend`. Any order but the key's requires a scan of all rows."""
    prefix = f"{kind}:".encode()
    if not by:
        found = walk(transaction, prefix, start=start[0] if start else b"")
        return [
            StoredRow(stored_fields(text, spec), (key.removeprefix(prefix),))
            for key, text in islice(found, limit)
        ]
    rows = (row for row in _ordered(transaction, prefix, spec, by) if start is None or row.place >= start)
    return nsmallest(limit, rows, key=lambda row: row.place)


def _ordered(
    transaction: lmdb.Transaction, prefix: bytes, spec: ResourceSpec | None, by: Sequence[str]
) -> Iterator[StoredRow]:
    if spec is None:
        types: list[type] = [int if name.endswith("_version") else str for name in by]
    else:
        types = [_TYPES.get(spec.by_name[name].kind, str) if name in spec.by_name else str for name in by]
    for _, text in walk(transaction, prefix):
        fields = stored_fields(text, spec)
        place = tuple(fields.get(name) for name in by)
        if all(isinstance(value, type_) for value, type_ in zip(place, types, strict=True)):
            yield StoredRow(fields, place)
