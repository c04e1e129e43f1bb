"""Items in SQL."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from sqlalchemy import Row, delete, insert, or_, select, update

from backends.errors import AlreadyExists, NotFound, NotOwner, VersionMismatch
from backends.ids import Clock, IdSource
from backends.models import (
    Item,
    ItemChanges,
    ItemFilter,
    ItemSort,
    NewItem,
    Page,
    Position,
    fold_case,
    with_folded,
)
from backends.sql.errors import ConstraintViolation
from backends.sql.pages import Order, page_statement, to_page
from backends.sql.schema import ITEMS
from backends.sql.search import place_of

if TYPE_CHECKING:
    from sqlalchemy import ColumnElement

    from backends.sql.connections import Connections


def _to_item(row: Row[Any]) -> Item:
    return Item(
        id=row.id,
        title=row.title,
        description=row.description,
        owner_id=row.owner_id,
        created_at=row.created_at,
        version=row.version,
    )


def _matches(id: str, owner_id: str | None, versions: Collection[int] | None) -> list[ColumnElement[bool]]:
    matches = [ITEMS.c.id == id]
    if owner_id is not None:
        matches.append(ITEMS.c.owner_id == owner_id)
    if versions is not None:
        matches.append(ITEMS.c.version.in_(versions))
    return matches


def _fits(owner_id: str | None, where: ItemFilter) -> list[ColumnElement[bool]]:
    fits = []
    if owner_id is not None:
        fits.append(ITEMS.c.owner_id == owner_id)
    if where.title is not None:
        fits.append(ITEMS.c.title == where.title)
    if where.q:
        # Both columns are folded, so that there is no case to ignore.
        part = fold_case(where.q)
        searched = (ITEMS.c.title_folded, ITEMS.c.description_folded)
        fits.append(or_(*(place_of(column, part) > 0 for column in searched)))
    if where.created_after is not None:
        fits.append(ITEMS.c.created_at > where.created_after)
    if where.created_before is not None:
        fits.append(ITEMS.c.created_at < where.created_before)
    return fits


class SqlItemRepository:
    """`backends.protocols.ItemRepository`: one statement a method; the foreign key guards the owner."""

    def __init__(self, connections: Connections, *, clock: Clock, id_source: IdSource) -> None:
        """Use these connections, this clock and this source of ids."""
        self._connections = connections
        self._clock = clock
        self._id_source = id_source

    async def add(self, new: NewItem, *, owner_id: str) -> Item:
        """See the protocol."""
        item = Item(
            id=self._id_source(), created_at=self._clock(), owner_id=owner_id, version=1, **new.model_dump()
        )
        try:
            await self._connections.write(insert(ITEMS), with_folded(asdict(item)))
        except ConstraintViolation as violation:
            if violation.kind == "foreign_key":
                raise NotFound("user", owner_id) from violation
            raise AlreadyExists("item", "id") from violation
        return item

    async def get(self, id: str, *, owner_id: str | None = None) -> Item:
        """See the protocol."""
        rows = await self._connections.read(select(ITEMS).where(ITEMS.c.id == id))
        if not rows:
            raise NotFound("item", id)
        if owner_id is not None and rows[0].owner_id != owner_id:
            raise NotOwner("item", id)
        return _to_item(rows[0])

    async def list(
        self,
        *,
        owner_id: str | None = None,
        where: ItemFilter = ItemFilter(),  # noqa: B008 - frozen
        sort: ItemSort = "-created_at",
        skip: int = 0,
        limit: int = 100,
        after: Position | None = None,
        count: bool = True,
    ) -> Page[Item]:
        """See the protocol."""
        order = Order.by(sort)
        statement = page_statement(
            ITEMS, *_fits(owner_id, where), order=order, skip=skip, limit=limit, after=after, count=count
        )
        rows = await self._connections.read(statement)
        return to_page(rows, _to_item, order=order, limit=limit, count=count)

    async def update(
        self,
        id: str,
        changes: ItemChanges,
        *,
        owner_id: str | None = None,
        versions: Collection[int] | None = None,
    ) -> Item:
        """See the protocol."""
        values = with_folded(changes.model_dump(exclude_unset=True))
        if not values:
            item = await self.get(id, owner_id=owner_id)
            if versions is not None and item.version not in versions:
                raise VersionMismatch("item", id)
            return item
        values["version"] = ITEMS.c.version + 1
        matches = _matches(id, owner_id, versions)
        rows = await self._connections.write(update(ITEMS).where(*matches).values(values).returning(ITEMS))
        if not rows:
            raise await self._refusal(id, owner_id)
        return _to_item(rows[0])

    async def delete(
        self, id: str, *, owner_id: str | None = None, versions: Collection[int] | None = None
    ) -> None:
        """See the protocol."""
        matches = _matches(id, owner_id, versions)
        if not await self._connections.write(delete(ITEMS).where(*matches).returning(ITEMS.c.id)):
            raise await self._refusal(id, owner_id)

    async def _refusal(self, id: str, owner_id: str | None) -> NotFound | NotOwner | VersionMismatch:
        """Say why a guarded write matched no row: a second look, on the way to an error only."""
        rows = await self._connections.read(select(ITEMS.c.owner_id).where(ITEMS.c.id == id))
        if not rows:
            return NotFound("item", id)
        if owner_id is not None and rows[0].owner_id != owner_id:
            return NotOwner("item", id)
        return VersionMismatch("item", id)
