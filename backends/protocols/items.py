"""The contract of items."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any, Protocol

from backends.models import Item, ItemFilter, NewItem, Page, Position


class ItemRepository(Protocol):
    """Items, each owned by one user.

    A method that takes `owner_id` is limited to the items of that user; None allows every owner.
    """

    async def add(self, new: NewItem, *, owner_id: str) -> Item:
        """Store an item of this owner with a new id and the current time.

        Raises:
            NotFound: entity "user", id `owner_id`: the user does not exist. If the owner is deleted
                concurrently, either the new item is deleted too or this call raises the error. No
                interleaving leaves an orphan.
            AlreadyExists: entity "item", field "id": the id source returned an id that is in use.
        """
        ...

    async def add_many(self, new: Sequence[NewItem], *, owner_id: str) -> list[Item]:
        """Store all of the items of this owner, or none, with the current time.

        Args:
            new: 1 to `MAX_ADDED` items.
            owner_id: As in `add`.

        Returns:
            The items in the order of `new`, with ascending new ids.

        Raises:
            NotFound: As in `add`. A concurrent deletion of the owner finds all of the items or none.
            AlreadyExists: As in `add`, also if the id source returned one id twice.
            NotSupported: operation "items.add_many", capability TRANSACTIONS; before all others.
            Conflict: Concurrent changes of the same rows collided in every attempt.
        """
        ...

    async def get(self, id: str, *, owner_id: str | None = None) -> Item:
        """Return the item with this id.

        Raises:
            NotFound: entity "item".
            NotOwner: entity "item": the item belongs to another user than `owner_id`.
        """
        ...

    async def list(
        self,
        *,
        owner_id: str | None = None,
        where: Any = ItemFilter(),  # noqa: B008 - frozen
        sort: str = "-created_at",
        skip: int = 0,
        limit: int = 100,
        after: Position | None = None,
        count: bool = True,
    ) -> Page[Item]:
        """Return a page of the items; see `UserRepository.list` for the other arguments and the result.

        The page of an unknown owner is empty.
        """
        ...

    async def update(
        self,
        id: str,
        changes: Any,
        *,
        owner_id: str | None = None,
        versions: Collection[int] | None = None,
    ) -> Item:
        """Update the fields that are set in `changes`, in one atomic step; return the item.

        If no field is set, nothing changes and the item is returned. Owner and version are checked in the
        same step. The item is unchanged after an error.

        Raises:
            NotFound: entity "item".
            NotOwner: entity "item": the item belongs to another user than `owner_id`.
            VersionMismatch: entity "item": the item's version is not in `versions`.
        """
        ...

    async def delete(
        self, id: str, *, owner_id: str | None = None, versions: Collection[int] | None = None
    ) -> None:
        """Delete the item. Owner and version are checked in the same step.

        Of any number of concurrent calls for one item, exactly one returns; the others raise NotFound. The
        item is unchanged after any other error.

        Raises:
            NotFound: entity "item".
            NotOwner: entity "item": the item belongs to another user than `owner_id`.
            VersionMismatch: entity "item": the item's version is not in `versions`.
        """
        ...
