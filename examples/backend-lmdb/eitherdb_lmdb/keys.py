"""Keys of the ordered map: how the values of fields sort, and walks over keys with one prefix.

LMDB limits a key to 511 bytes, so a key has only the beginning of a long text.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from itertools import takewhile
from typing import Any, cast

import lmdb

TEXT_BYTES = 400

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)


def value_at(transaction: lmdb.Transaction, key: bytes) -> bytes | None:
    """Return the value of a key; None if there is none."""
    return cast("bytes | None", transaction.get(key))


def sortable(value: Any) -> bytes:
    """Return bytes that sort as the values of a field do; long texts with one beginning have the same."""
    match value:
        case None:
            return b"\0"
        case str():
            return b"\1" + value.encode("utf-8", "surrogatepass")[:TEXT_BYTES] + b"\0"
        case float():
            # The bits of positive doubles sort as integers do, those of negative ones in reverse.
            bits = int.from_bytes(struct.pack(">d", value))
            return b"\1" + (bits ^ (2**64 - 1 if bits >> 63 else 2**63)).to_bytes(8)
        case datetime():
            number = (value - _EPOCH) // _MILLISECOND
        case date():
            number = value.toordinal()
        case Decimal():
            number = int(f"{value:f}".replace(".", ""))  # all values of a field have as many places
        case _:
            number = int(value)
    return b"\1" + (number + 2**63).to_bytes(8)


def is_truncated(key: bytes) -> bool:
    """Return whether the result of `sortable` may stand for several texts."""
    return len(key) == TEXT_BYTES + 2


def walk(
    transaction: lmdb.Transaction, prefix: bytes, *, start: bytes = b""
) -> Iterator[tuple[bytes, bytes]]:
    """Return the keys with this prefix and their values, from `start` on, ascending."""
    cursor = transaction.cursor()
    if cursor.set_range(prefix + start):
        yield from _within(prefix, cursor.iternext())


def walk_back(
    transaction: lmdb.Transaction, prefix: bytes, *, end: bytes = b"\xff"
) -> Iterator[tuple[bytes, bytes]]:
    """Return the keys with this prefix and their values, from the last one before `end` on, descending."""
    cursor = transaction.cursor()
    if cursor.prev() if cursor.set_range(prefix + end) else cursor.last():
        yield from _within(prefix, cursor.iterprev())


def _within(prefix: bytes, found: Iterator[Any]) -> Iterator[tuple[bytes, bytes]]:
    return takewhile(lambda pair: pair[0].startswith(prefix), found)


def remove(transaction: lmdb.Transaction, prefix: bytes) -> None:
    """Delete the keys with this prefix."""
    for key in [key for key, _ in walk(transaction, prefix)]:
        transaction.delete(key)
