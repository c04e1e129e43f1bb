"""The lists that there are, behind one face, so that each test of lists runs on each of them."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from backends.models import Item, Page, Position, User
from backends.protocols import Backend
from tests.contract.expectations import delete_user
from tests.contract.samples import new_item, new_user

Row = User | Item
Kind = Literal["users", "items", "items of an owner"]
KINDS: tuple[Kind, ...] = ("users", "items", "items of an owner")


def order(row: Row) -> tuple[datetime, str]:
    """Return what lists are ordered by, greatest first."""
    return row.created_at, row.id


def position(row: Row) -> Position:
    """Return the place just behind this row."""
    return Position(row.created_at, row.id)


class Shelf:
    """One list and what fills it. An owner's list has a stranger's items all around its own."""

    def __init__(self, backend: Backend, kind: Kind, *, elsewhere: Backend, users: list[User]) -> None:
        """Fill through `backend`; others' rows are stored through `elsewhere`, which has ids of its own."""
        self._backend = backend
        self._kind = kind
        self._elsewhere = elsewhere
        self._users = users

    async def add(self, n: int) -> Row:
        """Store a row of this list."""
        if self._kind == "users":
            return await self._backend.users.add(new_user(n))
        owner = self._users[n % 2 if self._kind == "items" else 0]
        item = await self._backend.items.add(new_item(n), owner_id=owner.id)
        if self._kind == "items of an owner":
            await self._elsewhere.items.add(new_item(n), owner_id=self._users[1].id)
        return item

    async def remove(self, row: Row) -> bool:
        """Remove a row; tell whether that was done, or refused for want of a capability."""
        if self._kind == "users":
            return await delete_user(self._backend, row.id)
        await self._backend.items.delete(row.id)
        return True

    async def list(
        self, *, skip: int = 0, limit: int = 100, after: Position | None = None, count: bool = True
    ) -> Page[User] | Page[Item]:
        """Return a page of this list."""
        if self._kind == "users":
            return await self._backend.users.list(skip=skip, limit=limit, after=after, count=count)
        owner_id = self._users[0].id if self._kind == "items of an owner" else None
        return await self._backend.items.list(
            owner_id=owner_id, skip=skip, limit=limit, after=after, count=count
        )
