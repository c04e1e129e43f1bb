"""Rows and their indexes as keys of one ordered map.

`items:<id>` holds a row as JSON. `items#title@<owner's id><title><id>` is an index key: it lists the row by
a sort field, among all rows (`*`) or those of one owner (`@`).

Keys sort as the rows do: ids and times have a fixed length, and a text ends with NUL, which no text
contains. LMDB limits a key to 511 bytes, so a key has only the beginning of a long text. Rows with the same
beginning are sorted when they are read.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import groupby, islice, takewhile
from operator import itemgetter
from typing import Any, Generic, TypeVar

import lmdb

from backends.ids import is_id
from backends.models import Page, Position, StoredObject, with_folded
from backends.rows import Fields, RowKind, unreadable
from eitherdb_lmdb.store import value_at

ID_BYTES = 12
TEXT_BYTES = 400

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)


R = TypeVar("R", bound=StoredObject)


def to_milliseconds(time: datetime) -> int:
    """Return the time as stored in JSON: milliseconds since 1970."""
    return (time - _EPOCH) // _MILLISECOND


def to_time(milliseconds: int) -> datetime:
    """Return the time from the value of `to_milliseconds`."""
    return _EPOCH + milliseconds * _MILLISECOND


def to_json(values: Mapping[str, Any]) -> bytes:
    """Return a row's values as JSON. `created_at` is a time."""
    return json.dumps({**values, "created_at": to_milliseconds(values["created_at"])}).encode()


def from_json(text: bytes) -> dict[str, Any]:
    """Return the values from the JSON of `to_json`."""
    values: dict[str, Any] = json.loads(text)
    values["created_at"] = to_time(values["created_at"])
    return values


def stored_fields(kind: RowKind, text: bytes) -> Fields:
    """Return the fields of a stored value, valid or not."""
    try:
        values = json.loads(text)
    except ValueError:
        values = {}
    fields: dict[str, Any] = values if isinstance(values, dict) else {}
    for name in ("created_at", "ends_at"):
        if type(fields.get(name)) is int:
            fields[name] = to_time(fields[name])
    # Search forms are not stored but derived from the texts.
    is_searched = kind == "items" and all(isinstance(fields.get(name, 0), str | None) for name in _SEARCHED)
    return with_folded(fields) if is_searched else fields


_SEARCHED = ("title", "description")


def _sortable(value: datetime | str) -> bytes:
    if isinstance(value, datetime):
        return (to_milliseconds(value) + 2**63).to_bytes(8)
    return value.encode("utf-8", "surrogatepass")[:TEXT_BYTES] + b"\0"


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


@dataclass(frozen=True, kw_only=True)
class Table(Generic[R]):
    """The rows of one entity.

    Attributes:
        name: The prefix of its keys.
        sorts: The fields that it is sorted by.
        owners: Returns the ids under which a row is listed besides the list of all.
        dump: Converts a row to JSON.
        load: Converts JSON to a row.
    """

    name: RowKind
    sorts: tuple[str, ...]
    owners: Callable[[R], Iterable[str]]
    dump: Callable[[R], bytes]
    load: Callable[[bytes], R]

    def get(self, transaction: lmdb.Transaction, id: str) -> R | None:
        """Return the row; None if there is none or the id is malformed."""
        text = value_at(transaction, self._key(id)) if is_id(id) else None
        if text is None:
            return None
        try:
            return self.load(text)
        except (KeyError, TypeError, ValueError) as exc:
            fields = {"id": id, **stored_fields(self.name, text)}
            raise unreadable(self.name, fields) from exc

    def put(self, transaction: lmdb.Transaction, row: R) -> None:
        """Store the row. Replace an older one with its id."""
        self.delete(transaction, row.id)
        transaction.put(self._key(row.id), self.dump(row))
        for key in self._listed(row):
            transaction.put(key, b"")

    def delete(self, transaction: lmdb.Transaction, id: str) -> None:
        """Remove the row, if there is one."""
        row = self.get(transaction, id)
        if row is not None:
            transaction.delete(self._key(id))
            for key in self._listed(row):
                transaction.delete(key)

    def of_owner(self, transaction: lmdb.Transaction, owner_id: str) -> list[R]:
        """Return the rows of an owner, oldest first."""
        keys = walk(transaction, self._list("created_at", owner_id))
        return [self._at(transaction, key) for key, _ in list(keys)]

    def page(
        self,
        transaction: lmdb.Transaction,
        *,
        owner_id: str | None = None,
        fits: Callable[[R], bool],
        sort: str,
        skip: int,
        limit: int,
        after: Position | None,
        count: bool,
    ) -> Page[R]:
        """Return a page, as `backends.protocols.UserRepository.list` describes it."""
        if owner_id is not None and not is_id(owner_id):
            return Page.of([], count=0 if count else None, next=None)
        field = sort.removeprefix("-")
        keys = self._list(field, owner_id)
        rows = self._sorted(transaction, field, keys, descends=sort.startswith("-"), after=after)
        found = list(islice((row for row in rows if fits(row)), skip, skip + limit + 1)) if limit else []
        data = found[:limit]
        everything = walk(transaction, self._list("created_at", owner_id))
        return Page.of(
            data,
            count=sum(fits(self._at(transaction, key)) for key, _ in everything) if count else None,
            next=Position(getattr(data[-1], field), data[-1].id) if len(found) > limit else None,
        )

    def _sorted(
        self,
        transaction: lmdb.Transaction,
        field: str,
        prefix: bytes,
        *,
        descends: bool,
        after: Position | None,
    ) -> Iterator[R]:
        def place(row: R) -> tuple[Any, str]:
            return getattr(row, field), row.id

        start = b"" if after is None else _sortable(after.key)
        if descends:
            keys = walk_back(transaction, prefix, end=start + b"\xff" * (ID_BYTES + 1))
        else:
            keys = walk(transaction, prefix, start=start)
        behind = None if after is None else (after.key, after.id)
        for _, alike in groupby((key for key, _ in keys), itemgetter(slice(-ID_BYTES))):
            for row in sorted((self._at(transaction, key) for key in alike), key=place, reverse=descends):
                if behind is None or (place(row) < behind if descends else place(row) > behind):
                    yield row

    def _at(self, transaction: lmdb.Transaction, key: bytes) -> R:
        row = self.get(transaction, key[-ID_BYTES:].hex())
        assert row is not None  # noqa: S101 - for the type checker: what is listed is there
        return row

    def _key(self, id: str) -> bytes:
        return f"{self.name}:".encode() + bytes.fromhex(id)

    def _list(self, field: str, owner_id: str | None) -> bytes:
        of = b"*" if owner_id is None else b"@" + bytes.fromhex(owner_id)
        return f"{self.name}#{field}".encode() + of

    def _listed(self, row: R) -> Iterator[bytes]:
        for field in self.sorts:
            place = _sortable(getattr(row, field)) + bytes.fromhex(row.id)
            for owner_id in (None, *self.owners(row)):
                yield self._list(field, owner_id) + place
