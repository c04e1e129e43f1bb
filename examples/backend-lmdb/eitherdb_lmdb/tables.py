"""Rows and their indexes as keys of one ordered map.

`books:<id>` holds a row as JSON. The other keys of a table are its indexes:

- `books#title*<title><id>` lists the row by a sort field among all rows, and
  `books#title@<owner's id><title><id>` among those of one owner;
- `books#author_id@<author's id><id>` lists it among those that refer to one row;
- `books!<SHA-256 of the values>` holds the id of the row with these values of a unique group.

Values sort by the bytes of `keys.sortable`. Rows with long texts of one beginning are sorted when they are
read.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from decimal import Decimal
from hashlib import sha256
from itertools import groupby, islice
from operator import itemgetter
from typing import Any, Generic, Protocol, TypeVar

import lmdb

from backends.errors import AlreadyExists, NotFound, UnreadableRow, VersionMismatch
from backends.ids import is_id, read_time
from backends.models import Page, Position, StoredObject
from backends.models.resources import ResourceSpec
from backends.models.resources.values import to_json
from backends.resource_conditions import sort_key
from backends.rows import Fields, json_fields, unreadable, unreadable_resource
from eitherdb_lmdb.keys import is_truncated, sortable, value_at, walk, walk_back

ID_BYTES = 12


class StoredRow(StoredObject, Protocol):
    """A row of any table."""

    @property
    def version(self) -> int:
        """1 for a new row; each change adds 1."""
        ...


R = TypeVar("R", bound=StoredRow)


def stored_fields(text: bytes, spec: ResourceSpec | None = None) -> Fields:
    """Return the fields of a stored value, valid or not."""
    try:
        values = json.loads(text)
    except ValueError:
        values = {}
    fields: dict[str, Any] = values if isinstance(values, dict) else {}
    if spec is not None:
        return json_fields(spec, fields)
    for name in ("created_at", "ends_at"):
        with suppress(KeyError, TypeError, ValueError):
            fields[name] = read_time(fields[name])
    return fields


@dataclass(frozen=True, kw_only=True)
class Table(Generic[R]):
    """The rows of one entity.

    Attributes:
        name: The prefix of its keys.
        entity: The name of a row in errors.
        record: The class of its rows.
        sorts: The fields that it is sorted by.
        owners: Returns the ids under which a row is listed besides the list of all.
        references: The fields whose values are ids of other rows.
        unique: The groups of fields that are unique together, except where one of them is null.
        spec: The specification, if the rows are those of a resource.
    """

    name: str
    entity: str
    record: type[R]
    sorts: tuple[str, ...] = ("created_at",)
    owners: Callable[[R], Iterable[str]] = lambda _: ()
    references: tuple[str, ...] = ()
    unique: tuple[tuple[str, ...], ...] = ()
    spec: ResourceSpec | None = None

    def get(self, transaction: lmdb.Transaction, id: str) -> R | None:
        """Return the row; None if there is none or the id is malformed."""
        text = value_at(transaction, self._key(id)) if is_id(id) else None
        if text is None:
            return None
        try:
            row = self.record.from_row(json.loads(text))
            row.fields()  # raises AttributeError if one is missing
        except (ArithmeticError, AttributeError, KeyError, TypeError, ValueError) as exc:
            raise self._unreadable(id, text) from exc
        return row

    def require(self, transaction: lmdb.Transaction, id: str) -> R:
        """Return the row; raise NotFound if there is none."""
        row = self.get(transaction, id)
        if row is None:
            raise NotFound(self.entity, id)
        return row

    def check_version(self, row: R, versions: Collection[int] | None) -> None:
        """Raise VersionMismatch if versions are given and the row's is not among them."""
        if versions is not None and row.version not in versions:
            raise VersionMismatch(self.entity, row.id)

    def _unreadable(self, id: str, text: bytes) -> UnreadableRow:
        fields = {"id": id, **stored_fields(text, self.spec)}
        return (
            unreadable(self.name, fields) if self.spec is None else unreadable_resource(self.spec, fields)
        )

    def add(self, transaction: lmdb.Transaction, *rows: R) -> None:
        """Store new rows.

        Raises:
            AlreadyExists: An id is in use, or another row has the values of a unique group.
        """
        ids = {row.id for row in rows}
        if len(ids) < len(rows) or any(self.get(transaction, id_) is not None for id_ in ids):
            raise AlreadyExists(self.entity, "id")
        self.put(transaction, *rows)

    def put(self, transaction: lmdb.Transaction, *rows: R) -> None:
        """Store rows. Replace older ones with their ids.

        Raises:
            AlreadyExists: Another row has the values of a unique group.
        """
        for group in self.unique:
            keys = [(self._unique(group, row.fields()), row.id.encode()) for row in rows]
            given = [key for key, _ in keys if key is not None]
            if len(set(given)) < len(given) or any(
                key is not None and value_at(transaction, key) not in {None, id_} for key, id_ in keys
            ):
                raise AlreadyExists(self.entity, ",".join(group))
        for row in rows:
            self.delete(transaction, row.id)
            transaction.put(self._key(row.id), json.dumps(row.to_row()).encode())
            for key, value in self._index(row):
                transaction.put(key, value)

    def delete(self, transaction: lmdb.Transaction, id: str) -> None:
        """Remove the row, if there is one."""
        row = self.get(transaction, id)
        if row is not None:
            transaction.delete(self._key(id))
            for key, _ in self._index(row):
                transaction.delete(key)

    def find(self, transaction: lmdb.Transaction, **values: Any) -> R | None:
        """Return the row with these values of a unique group; None if there is none."""
        (group,) = (each for each in self.unique if set(each) == set(values))
        key = self._unique(group, values)
        id_ = None if key is None else value_at(transaction, key)
        return None if id_ is None else self.get(transaction, id_.decode())

    def ids(self, transaction: lmdb.Transaction, field: str, of: str) -> list[str]:
        """Return the ids of rows: those that refer to `of` by this field, or an owner's by `created_at`."""
        return [key[-ID_BYTES:].hex() for key, _ in walk(transaction, self._list(field, of))]

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
            return sort_key(getattr(row, field)), row.id

        start = b"" if after is None else sortable(after.key)
        if after is not None and not is_truncated(start):
            start += bytes.fromhex(after.id)
        if descends:
            keys = walk_back(transaction, prefix, end=start + b"\xff" * (ID_BYTES + 1))
        else:
            keys = walk(transaction, prefix, start=start)
        behind = None if after is None else (sort_key(after.key), after.id)
        for key, alike in groupby((key for key, _ in keys), itemgetter(slice(-ID_BYTES))):
            rows: Iterable[R] = (self._at(transaction, each) for each in alike)
            if is_truncated(key.removeprefix(prefix)):
                rows = sorted(rows, key=place, reverse=descends)
            for row in rows:
                if behind is None or (place(row) < behind if descends else place(row) > behind):
                    yield row

    def _at(self, transaction: lmdb.Transaction, key: bytes) -> R:
        row = self.get(transaction, key[-ID_BYTES:].hex())
        assert row is not None  # noqa: S101 - for the type checker: what is listed is there
        return row

    def _key(self, id: str) -> bytes:
        return f"{self.name}:".encode() + bytes.fromhex(id)

    def _list(self, field: str, of: str | None) -> bytes:
        return f"{self.name}#{field}".encode() + (b"*" if of is None else b"@" + bytes.fromhex(of))

    def _unique(self, group: tuple[str, ...], values: Mapping[str, Any]) -> bytes | None:
        """Return the key for these values of a unique group; None if one is null."""
        given = [values[name] for name in group]
        if None in given:
            return None
        exact = [each.normalize() if isinstance(each, Decimal) else each for each in given]
        text = json.dumps([group, list(map(to_json, exact))])
        return f"{self.name}!".encode() + sha256(text.encode()).digest()

    def _index(self, row: R) -> Iterator[tuple[bytes, bytes]]:
        """Return the index keys of a row and their values."""
        id_, fields = bytes.fromhex(row.id), row.fields()
        for field in self.sorts:
            for of in (None, *self.owners(row)):
                yield self._list(field, of) + sortable(fields[field]) + id_, b""
        for field in self.references:
            if fields[field] is not None:
                yield self._list(field, fields[field]) + id_, b""
        for group in self.unique:
            if key := self._unique(group, fields):
                yield key, row.id.encode()
