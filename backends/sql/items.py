"""Items in SQL."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import Row, delete, insert, select, update

from backends.errors import AlreadyExists, NotFound, NotOwner
from backends.ids import Clock, IdSource
from backends.models import Item, ItemChanges, NewItem, Page, Position
from backends.sql.errors import ConstraintViolation
from backends.sql.pages import page_statement, to_page
from backends.sql.schema import ITEMS

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
    )


def _matches(id: str, owner_id: str | None) -> list[ColumnElement[bool]]:
    return [ITEMS.c.id == id] if owner_id is None else [ITEMS.c.id == id, ITEMS.c.owner_id == owner_id]


class SqlItemRepository:
    """`backends.protocols.ItemRepository`: one statement a method; the foreign key guards the owner."""

    def __init__(self, connections: Connections, *, clock: Clock, id_source: IdSource) -> None:
        """Use these connections, this clock and this source of ids."""
        self._connections = connections
        self._clock = clock
        self._id_source = id_source

    async def add(self, new: NewItem, *, owner_id: str) -> Item:
        """See the protocol."""
        values = {
            "id": self._id_source(),
            "created_at": self._clock(),
            "owner_id": owner_id,
            **new.model_dump(),
        }
        try:
            await self._connections.write(insert(ITEMS), values)
        except ConstraintViolation as violation:
            if violation.kind == "foreign_key":
                raise NotFound("user", owner_id) from violation
            raise AlreadyExists("item", "id") from violation
        return Item(**values)

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
        skip: int = 0,
        limit: int = 100,
        after: Position | None = None,
        count: bool = True,
    ) -> Page[Item]:
        """See the protocol."""
        where = [] if owner_id is None else [ITEMS.c.owner_id == owner_id]
        statement = page_statement(ITEMS, *where, skip=skip, limit=limit, after=after, count=count)
        return to_page(await self._connections.read(statement), _to_item, limit=limit, count=count)

    async def update(self, id: str, changes: ItemChanges, *, owner_id: str | None = None) -> Item:
        """See the protocol."""
        values = changes.model_dump(exclude_unset=True)
        if not values:
            return await self.get(id, owner_id=owner_id)
        statement = update(ITEMS).where(*_matches(id, owner_id)).values(values).returning(ITEMS)
        rows = await self._connections.write(statement)
        if not rows:
            raise await self._refusal(id, owner_id)
        return _to_item(rows[0])

    async def delete(self, id: str, *, owner_id: str | None = None) -> None:
        """See the protocol."""
        statement = delete(ITEMS).where(*_matches(id, owner_id)).returning(ITEMS.c.id)
        if not await self._connections.write(statement):
            raise await self._refusal(id, owner_id)

    async def _refusal(self, id: str, owner_id: str | None) -> NotFound | NotOwner:
        """Say why a guarded write matched no row: a second look, on the way to an error only."""
        rows = await self._connections.read(select(ITEMS.c.owner_id).where(ITEMS.c.id == id))
        if owner_id is not None and rows and rows[0].owner_id != owner_id:
            return NotOwner("item", id)
        return NotFound("item", id)
