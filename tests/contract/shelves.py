"""The lists that there are, behind one face, so that each test of lists runs on each of them."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal, cast

from backends.models import (
    Item,
    ItemChanges,
    ItemSort,
    Page,
    Position,
    User,
    UserChanges,
    UserSort,
)
from backends.protocols import Backend
from tests.contract.expectations import delete_user
from tests.contract.samples import new_item, new_user

Row = User | Item
Kind = Literal["users", "items", "items of an owner"]
KINDS: tuple[Kind, ...] = ("users", "items", "items of an owner")
SORTS: dict[Kind, tuple[str, ...]] = {
    "users": ("created_at", "-created_at", "email", "-email"),
    "items": ("created_at", "-created_at", "title", "-title"),
    "items of an owner": ("created_at", "-created_at", "title", "-title"),
}
ALL_SORTS = [(kind, sort) for kind in KINDS for sort in SORTS[kind]]


def order(row: Row) -> tuple[datetime, str]:
    """Return what lists are ordered by unless they are asked otherwise, greatest first."""
    return row.created_at, row.id


def position(row: Row, sort: str = "-created_at") -> Position:
    """Return the place just behind this row in a list of this order."""
    return Position(getattr(row, sort.removeprefix("-")), row.id)


def sorted_by(sort: str, rows: list[Row]) -> list[Row]:
    """Return the rows as a list of this order has them. Python compares text by code point."""
    field = sort.removeprefix("-")
    return sorted(rows, key=lambda row: (getattr(row, field), row.id), reverse=sort.startswith("-"))


class Shelf:
    """One list and what fills it. An owner's list has a stranger's items all around its own."""

    def __init__(self, backend: Backend, kind: Kind, *, elsewhere: Backend, users: list[User]) -> None:
        """Fill through `backend`; others' rows are stored through `elsewhere`, which has ids of its own."""
        self._backend = backend
        self._kind = kind
        self._elsewhere = elsewhere
        self._users = users

    @property
    def sorts(self) -> tuple[str, ...]:
        """Every order that this list can be asked for."""
        return SORTS[self._kind]

    async def add(self, n: int, text: str | None = None) -> Row:
        """Store a row of this list; the text is its title, or begins its address."""
        if self._kind == "users":
            changes = {} if text is None else {"email": f"{text}@n{n}.example.com"}
            return await self._backend.users.add(new_user(n).model_copy(update=changes))
        owner = self._users[n % 2 if self._kind == "items" else 0]
        new = new_item(n).model_copy(update={} if text is None else {"title": text})
        item = await self._backend.items.add(new, owner_id=owner.id)
        if self._kind == "items of an owner":
            await self._elsewhere.items.add(new, owner_id=self._users[1].id)
        return item

    async def remove(self, row: Row) -> bool:
        """Remove a row; tell whether that was done, or refused for want of a capability."""
        if self._kind == "users":
            return await delete_user(self._backend, row.id)
        await self._backend.items.delete(row.id)
        return True

    async def rename(self, row: Row, text: str) -> None:
        """Give a row another title or address, and so another place in a list that is sorted by it."""
        if self._kind == "users":
            await self._backend.users.update(row.id, UserChanges(email=f"{text}@{row.id}.example.com"))
        else:
            await self._backend.items.update(row.id, ItemChanges(title=text))

    async def list(
        self,
        *,
        sort: str = "-created_at",
        skip: int = 0,
        limit: int = 100,
        after: Position | None = None,
        count: bool = True,
    ) -> Page[Any]:
        """Return a page of this list."""
        if self._kind == "users":
            return await self._backend.users.list(
                sort=cast("UserSort", sort), skip=skip, limit=limit, after=after, count=count
            )
        owner_id = self._users[0].id if self._kind == "items of an owner" else None
        return await self._backend.items.list(
            owner_id=owner_id, sort=cast("ItemSort", sort), skip=skip, limit=limit, after=after, count=count
        )
