"""A page of a list and the count of the whole list, asked for at the same time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import UTC
from typing import TypeVar

from backends.models import Page, Position
from backends.mongo.driver import Collection, Document
from backends.mongo.errors import translate_errors
from backends.mongo.schema import object_id

T = TypeVar("T")

NEWEST_FIRST = (("created_at", -1), ("_id", -1))


async def fetch_page(
    collection: Collection,
    where: Document,
    to_model: Callable[[Document], T],
    *,
    skip: int,
    limit: int,
    after: Position | None,
    count: bool,
) -> Page[T]:
    """Find a page, newest first, and one document more to see whether another page follows."""
    with translate_errors():
        # Both are awaited to their end even if one fails, so that no connection stays in use.
        found, total = await asyncio.gather(
            _find(collection, where, skip=skip, limit=limit, after=after),
            collection.count_documents(where) if count else _no_count(),
            return_exceptions=True,
        )
        if isinstance(found, BaseException):
            raise found
        if isinstance(total, BaseException):
            raise total
    more = len(found) > limit
    return Page(
        data=[to_model(document) for document in found[:limit]],
        count=total,
        next=_position(found[limit - 1]) if more else None,
    )


async def _find(
    collection: Collection, where: Document, *, skip: int, limit: int, after: Position | None
) -> list[Document]:
    if limit == 0:
        return []  # MongoDB would read 0 as "no limit"
    if after is not None:
        # The first condition bounds the walk of the index; the second decides among equal times.
        created_at = after.created_at.replace(tzinfo=None)
        behind = [{"created_at": {"$lt": created_at}}, {"_id": {"$lt": object_id(after.id)}}]
        where = {**where, "created_at": {"$lte": created_at}, "$or": behind}
    return await collection.find(where).sort(NEWEST_FIRST).skip(skip).limit(limit + 1).to_list(limit + 1)


async def _no_count() -> None:
    return None


def _position(document: Document) -> Position:
    return Position(document["created_at"].replace(tzinfo=UTC), str(document["_id"]))
