"""The contract of items."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Protocol

from backends.models import Item, ItemChanges, ItemFilter, ItemSort, NewItem, Page, Position


class ItemRepository(Protocol):
    """Items, each owned by one user.

    Where a method takes `owner_id`, None means whoever owns it; an id limits the method to the items
    of that user.
    """

    async def add(self, new: NewItem, *, owner_id: str) -> Item:
        """Store an item of this owner under a fresh id and the present time.

        Raises:
            NotFound: entity "user", id `owner_id`: there is no such user. An owner who is deleted at
                the same time either takes the new item along or makes this call raise; no
                interleaving leaves an item without an owner.
            AlreadyExists: entity "item", field "id": the id source gave an id that is in use.
        """
        ...

    async def add_many(self, new: Sequence[NewItem], *, owner_id: str) -> list[Item]:
        """Store items of this owner, all or none, at the present time.

        Args:
            new: 1 to `MAX_ADDED` of them.
            owner_id: As in `add`.

        Returns:
            The items in the order of `new`; their fresh ids ascend in it.

        Raises:
            NotFound: As in `add`: whoever deletes the owner finds all of the items or none.
            AlreadyExists: As in `add`, also where the id source gave one id twice.
            NotSupported: operation "items.add_many", capability TRANSACTIONS; before all others.
            Conflict: Concurrent changes of the same rows collided in every try.
        """
        ...

    async def get(self, id: str, *, owner_id: str | None = None) -> Item:
        """Return the item with this id.

        Raises:
            NotFound: entity "item".
            NotOwner: entity "item": it belongs to another user than `owner_id`.
        """
        ...

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
        """Return a page of the items; the other arguments and the result are as in `UserRepository.list`.

        An owner who does not exist has no items.
        """
        ...

    async def update(
        self,
        id: str,
        changes: ItemChanges,
        *,
        owner_id: str | None = None,
        versions: Collection[int] | None = None,
    ) -> Item:
        """Apply the fields that are set in `changes`, in one atomic step; return the result.

        No field set: nothing changes and the item is returned. Owner and version are checked in the
        same step.

        Raises:
            NotFound: entity "item".
            NotOwner: entity "item": it belongs to another user than `owner_id`; nothing was changed.
            VersionMismatch: entity "item": its version is none of `versions`; nothing was changed.
        """
        ...

    async def delete(
        self, id: str, *, owner_id: str | None = None, versions: Collection[int] | None = None
    ) -> None:
        """Delete the item. Owner and version are checked in the same step.

        Of any number of concurrent calls for one item exactly one returns; the others raise NotFound.

        Raises:
            NotFound: entity "item".
            NotOwner: entity "item": it belongs to another user than `owner_id`; it is still there.
            VersionMismatch: entity "item": its version is none of `versions`; it is still there.
        """
        ...
