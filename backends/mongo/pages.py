"""Reads a page of a list and the count of the whole list in one command."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Collection as Names
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, TypeVar

from backends.models import Page, Position, Row, StoredObject
from backends.mongo.driver import Collection, Document, Sort
from backends.mongo.errors import translate_errors
from backends.mongo.schema import object_id

if TYPE_CHECKING:
    from backends.mongo.driver import Driver

R = TypeVar("R", bound=StoredObject)


@dataclass(frozen=True, slots=True)
class Order:
    """A sort order: a field and then the id as tie-breaker, both in the same direction.

    A unique field needs no tie-breaker, and its own index serves the order.

    Attributes:
        field: The field in documents.
        descending: Whether the order is descending.
        unique: Whether the field is unique and never null.
        nullable: Whether the field may be null. Null comes first in ascending order, as in BSON.
        encode: The function from the key of a position, other than null, to the stored value.
        decode: The function from the stored value, other than null, to the key of a position.
    """

    field: str
    descending: bool
    unique: bool = False
    nullable: bool = False
    encode: Callable[[Any], Any] | None = None
    decode: Callable[[Any], Any] | None = None

    @classmethod
    def by(cls, sort: str, *, unique: Names[str] = ()) -> Order:
        """Parse a protocol's `sort`, such as `title` or `-title`; `unique` names the unique fields."""
        field = sort.removeprefix("-")
        return cls(field, descending=sort.startswith("-"), unique=field in unique)

    @property
    def keys(self) -> Sort:
        """The keys for the cursor's `sort`."""
        direction = -1 if self.descending else 1
        by_field = (self.field, direction)
        return (by_field,) if self.unique else (by_field, ("_id", direction))

    def behind(self, position: Position) -> Document:
        """Return the keyset condition: it matches the documents after a position."""
        operator = "$lt" if self.descending else "$gt"
        key = position.key
        if key is not None:
            key = _stored(key) if self.encode is None else self.encode(key)
        if self.unique:
            return {self.field: {operator: key}}
        if self.nullable and (key is None or self.descending):
            return self._behind_nullable(key, {"_id": {operator: object_id(position.id)}})
        # The first condition bounds the index scan; the second is the tie-breaker among equal keys.
        tie_break = [{self.field: {operator: key}}, {"_id": {operator: object_id(position.id)}}]
        return {self.field: {f"{operator}e": key}, "$or": tie_break}

    def _behind_nullable(self, key: Any, has_later_id: Document) -> Document:
        """Return the keyset condition where nulls follow, or the position is among them.

        A comparison with `$gt` or `$lt` never matches null, because it matches values of one type.
        """
        if key is not None:
            return {
                self.field: {"$not": {"$gt": key}},
                "$or": [{self.field: {"$ne": key}}, has_later_id],
            }
        if self.descending:
            return {self.field: None, **has_later_id}
        return {"$or": [{self.field: None, **has_later_id}, {self.field: {"$ne": None}}]}

    def position(self, document: Document) -> Position:
        """Return the keyset position of a document."""
        key = document.get(self.field)  # a document may lack a null
        if self.decode is not None:
            key = None if key is None else self.decode(key)
        elif isinstance(key, datetime):
            key = key.replace(tzinfo=UTC)
        return Position(key, str(document["_id"]))


def created_between(after: datetime | None, before: datetime | None) -> list[Document]:
    """Return the conditions on `created_at`; None means no bound."""
    bounds = {"$gt": after, "$lt": before}
    return [{"created_at": {name: _stored(time)}} for name, time in bounds.items() if time is not None]


async def fetch_page(
    driver: Driver,
    collection: Collection,
    where: list[Document],
    to_row: Callable[[Document], Row],
    record: type[R],
    *,
    order: Order,
    skip: int,
    limit: int,
    after: Position | None,
    count: bool,
) -> Page[R]:
    """Read a page in one command, plus one document that tells whether another page follows.

    Args:
        driver: The driver that runs the command.
        collection: The collection to read.
        where: The conditions of the list; all must hold.
        to_row: Maps a document to a row.
        record: The model of a row.
        order: The sort order of the list.
        skip: See the protocol.
        limit: See the protocol.
        after: See the protocol.
        count: See the protocol.
    """
    total = {"$match": _all_of(where)}, {"$count": _COUNT}
    if limit:
        matches = _all_of(where if after is None else [*where, order.behind(after)])
        pipeline: list[Document] = [{"$match": matches}, {"$sort": dict(order.keys)}, {"$skip": skip}]
        pipeline.append({"$limit": limit + 1})
        if count:
            pipeline.append({"$unionWith": {"coll": collection.name, "pipeline": list(total)}})
    else:
        pipeline = list(total) if count else []
    found: list[Document] = []
    if pipeline:
        with translate_errors():
            # One batch with room to spare: after a full batch the server keeps the cursor open.
            found = await driver.aggregate(collection, pipeline, batch_size=limit + 3)
    counted = found.pop()[_COUNT] if count and found and "_id" not in found[-1] else 0
    more = len(found) > limit
    return Page(
        rows=[to_row(document) for document in found[:limit]],
        record=record,
        count=counted if count else None,
        next=order.position(found[limit - 1]) if more else None,
    )


_COUNT = "count"
"""The only field of the last document, which has no id; an empty list has no such document."""


def _all_of(conditions: list[Document]) -> Document:
    return {"$and": conditions} if conditions else {}


def _stored(key: Any) -> Any:
    return key.replace(tzinfo=None) if isinstance(key, datetime) else key
