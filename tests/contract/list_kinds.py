"""The kinds of lists behind one interface, so that each test of lists runs on each kind."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal, cast

from backends.models import (
    Account,
    AccountSort,
    Item,
    ItemChanges,
    Page,
    Position,
    Transfer,
    TransferSort,
    User,
    UserChanges,
    UserSort,
)
from backends.protocols import Backend

from .expectations import delete_user
from .money import money, order_of
from .samples import new_account, new_item, new_user

Row = User | Item | Account | Transfer
Kind = Literal["users", "items", "items of an owner", "accounts of an owner", "transfers of an owner"]
KINDS: tuple[Kind, ...] = (
    "users",
    "items",
    "items of an owner",
    "accounts of an owner",
    "transfers of an owner",
)
SORTS: dict[Kind, tuple[str, ...]] = {
    "users": ("created_at", "-created_at", "email", "-email"),
    "items": ("created_at", "-created_at", "title", "-title"),
    "items of an owner": ("created_at", "-created_at", "title", "-title"),
    "accounts of an owner": ("created_at", "-created_at", "name", "-name"),
    "transfers of an owner": ("created_at", "-created_at"),
}
ALL_SORTS = [(kind, sort) for kind in KINDS for sort in SORTS[kind]]


def order(row: Row) -> tuple[datetime, str]:
    """Return the default sort key of lists, which are in descending order."""
    return row.created_at, row.id


def position(row: Row, sort: str = "-created_at") -> Position:
    """Return the position just after this row in a list with this sort."""
    return Position(getattr(row, sort.removeprefix("-")), row.id)


def sorted_by(sort: str, rows: list[Row]) -> list[Row]:
    """Return the rows in the order of this sort. Python compares text by code point."""
    field = sort.removeprefix("-")
    return sorted(rows, key=lambda row: (getattr(row, field), row.id), reverse=sort.startswith("-"))


class StoredList:
    """One kind of list, and methods that store its rows.

    An owner's list is stored among rows of another user.
    """

    def __init__(self, backend: Backend, kind: Kind, *, elsewhere: Backend, users: list[User]) -> None:
        """Store rows through `backend`. Other users' rows go through `elsewhere`, which has its own ids."""
        self._backend = backend
        self._kind = kind
        self._elsewhere = elsewhere
        self._users = users
        self._accounts: list[Account] = []
        self._added = 0

    @property
    def sorts(self) -> tuple[str, ...]:
        """All sorts of this list."""
        return SORTS[self._kind]

    @property
    def sorts_by_text(self) -> tuple[str, ...]:
        """The sorts by text, ascending and descending; empty if the list has none."""
        return self.sorts[2:]

    async def add(self, n: int, text: str | None = None) -> Row:
        """Store a row of this list. The text is its title, name or note, or the start of its address."""
        if self._kind == "users":
            changes = {} if text is None else {"email": f"{text}@n{n}.example.com"}
            return await self._backend.users.add(new_user(n).model_copy(update=changes))
        if self._kind == "accounts of an owner":
            return await self._add_account(n, text)
        if self._kind == "transfers of an owner":
            return await self._add_transfer(n, text)
        owner = self._users[n % 2 if self._kind == "items" else 0]
        new = new_item(n).model_copy(update={} if text is None else {"title": text})
        item = await self._backend.items.add(new, owner_id=owner.id)
        if self._kind == "items of an owner":
            await self._elsewhere.items.add(new, owner_id=self._users[1].id)
        return item

    async def _add_account(self, n: int, text: str | None) -> Account:
        new = new_account(n).model_copy(update={} if text is None else {"name": text})
        account = await self._backend.accounts.add(new, owner_id=self._users[0].id)
        await self._elsewhere.accounts.add(new, owner_id=self._users[1].id)
        return account

    async def _add_transfer(self, n: int, note: str | None) -> Transfer:
        """Add an entry: deposit, incoming transfer, outgoing transfer or withdrawal in turn."""
        accounts, by = self._elsewhere.accounts, self._users[n % 2].id
        if not self._accounts:
            self._accounts = [await accounts.add(new_account(), owner_id=user.id) for user in self._users]
            await accounts.deposit(self._accounts[1].id, money(1_000), ordered_by=by)
        mine, theirs = self._accounts
        ways = (
            lambda: self._backend.accounts.deposit(mine.id, money(2, note), ordered_by=by),
            lambda: self._backend.accounts.transfer(order_of(theirs, mine, 2), ordered_by=by),
            lambda: self._backend.accounts.transfer(order_of(mine, theirs, 1), ordered_by=by),
            lambda: self._backend.accounts.withdraw(mine.id, money(1, note), ordered_by=by),
        )
        self._added += 1
        entry = await ways[(self._added - 1) % 4]()
        await accounts.deposit(theirs.id, money(1, note), ordered_by=by)
        return entry

    async def remove(self, row: Row) -> bool:
        """Remove a row. Return False for an entry, and where the backend lacks the required capability."""
        if self._kind == "users":
            return await delete_user(self._backend, row.id)
        if self._kind == "transfers of an owner":
            return False
        if self._kind == "accounts of an owner":
            await self._backend.accounts.delete(row.id)
        else:
            await self._backend.items.delete(row.id)
        return True

    async def rename(self, row: Row, text: str) -> bool:
        """Change the text by which a row is sorted. Return False if the row has no such text."""
        if self._kind == "users":
            await self._backend.users.update(row.id, UserChanges(email=f"{text}@{row.id}.example.com"))
            return True
        if self._kind in {"items", "items of an owner"}:
            await self._backend.items.update(row.id, ItemChanges(title=text))
            return True
        return False

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
        owner_id = None if self._kind == "items" else self._users[0].id
        if self._kind == "accounts of an owner":
            return await self._backend.accounts.list(
                owner_id=owner_id,
                sort=cast("AccountSort", sort),
                skip=skip,
                limit=limit,
                after=after,
                count=count,
            )
        if self._kind == "transfers of an owner":
            return await self._backend.accounts.transfers(
                owner_id=owner_id,
                sort=cast("TransferSort", sort),
                skip=skip,
                limit=limit,
                after=after,
                count=count,
            )
        return await self._backend.items.list(
            owner_id=owner_id, sort=sort, skip=skip, limit=limit, after=after, count=count
        )
