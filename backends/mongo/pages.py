"""A page of a list and the count of the whole list, asked for at the same time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from collections.abc import Collection as Names
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, TypeVar

from backends.models import Page, Position, Record, Row
from backends.mongo.driver import Collection, Document, Sort
from backends.mongo.errors import translate_errors
from backends.mongo.schema import object_id

R = TypeVar("R", bound=Record)


@dataclass(frozen=True, slots=True)
class Order:
    """An order of documents: a field and then the id, both in one direction.

    Where the field is unique it is the whole order, and the index on it serves it.
    """

    field: str
    descending: bool
    unique: bool

    @classmethod
    def by(cls, sort: str, *, unique: Names[str] = ()) -> Order:
        """Read a `sort` of the protocols, `title` or `-title`; some fields are unique."""
        field = sort.removeprefix("-")
        return cls(field, descending=sort.startswith("-"), unique=field in unique)

    @property
    def keys(self) -> Sort:
        """What `sort` wants."""
        direction = -1 if self.descending else 1
        by_field = (self.field, direction)
        return (by_field,) if self.unique else (by_field, ("_id", direction))

    def behind(self, position: Position) -> Document:
        """Return the condition that documents behind a position fulfil."""
        operator = "$lt" if self.descending else "$gt"
        key = _stored(position.key)
        if self.unique:
            return {self.field: {operator: key}}
        # The first condition bounds the walk of the index; the second decides among equal keys.
        tie_break = [{self.field: {operator: key}}, {"_id": {operator: object_id(position.id)}}]
        return {self.field: {f"{operator}e": key}, "$or": tie_break}

    def position(self, document: Document) -> Position:
        """Return the place just behind a document."""
        key = document[self.field]
        return Position(key.replace(tzinfo=UTC) if isinstance(key, datetime) else key, str(document["_id"]))


def created_between(after: datetime | None, before: datetime | None) -> list[Document]:
    """Return the conditions on `created_at`; None is no bound."""
    bounds = {"$gt": after, "$lt": before}
    return [{"created_at": {name: _stored(time)}} for name, time in bounds.items() if time is not None]


async def fetch_page(
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
    max_time_ms: int | None,
) -> Page[R]:
    """Find a page, and one document more to see whether another page follows.

    Args:
        collection: Where to look.
        where: What the documents of the list fulfil, all of it.
        to_row: Maps a document.
        record: What a document is.
        order: Of the list.
        skip: See the protocol, like the rest.
        limit: The same.
        after: The same.
        count: The same.
        max_time_ms: How long the server may work on either.
    """
    with translate_errors():
        # Both are awaited to their end even if one fails, so that no connection stays in use.
        found, total = await asyncio.gather(
            _find(
                collection,
                where,
                order=order,
                skip=skip,
                limit=limit,
                after=after,
                max_time_ms=max_time_ms,
            ),
            collection.count_documents(_all_of(where), maxTimeMS=max_time_ms) if count else _no_count(),
            return_exceptions=True,
        )
        if isinstance(found, BaseException):
            raise found
        if isinstance(total, BaseException):
            raise total
    more = len(found) > limit
    return Page(
        rows=[to_row(document) for document in found[:limit]],
        record=record,
        count=total,
        next=order.position(found[limit - 1]) if more else None,
    )


async def _find(
    collection: Collection,
    where: list[Document],
    *,
    order: Order,
    skip: int,
    limit: int,
    after: Position | None,
    max_time_ms: int | None,
) -> list[Document]:
    if limit == 0:
        return []  # MongoDB would read 0 as "no limit"
    matches = _all_of(where if after is None else [*where, order.behind(after)])
    found = collection.find(matches, max_time_ms=max_time_ms).sort(order.keys).skip(skip).limit(limit + 1)
    return await found.to_list(limit + 1)


def _all_of(conditions: list[Document]) -> Document:
    return {"$and": conditions} if conditions else {}


def _stored(key: datetime | str) -> Any:
    return key.replace(tzinfo=None) if isinstance(key, datetime) else key


async def _no_count() -> None:
    return None
