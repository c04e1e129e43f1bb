"""The contract of users."""

from __future__ import annotations

from collections.abc import Collection
from typing import Protocol

from backends.models import NewUser, Page, Position, User, UserChanges, UserFilter, UserSort


class UserRepository(Protocol):
    """Users, unique by e-mail address."""

    async def add(self, new: NewUser) -> User:
        """Store a user under a fresh id and the present time.

        Raises:
            AlreadyExists: entity "user", field "email": the address is taken. Of any number of
                concurrent calls with one address, exactly one succeeds. Field "id": the id source
                gave an id that is in use.
        """
        ...

    async def get(self, id: str) -> User:
        """Return the user with this id.

        Raises:
            NotFound: entity "user".
        """
        ...

    async def find_by_email(self, email: str) -> User | None:
        """Return the user with this address, in any spelling that normalises to it.

        None if no user has it, and also if the text is no e-mail address at all.
        """
        ...

    async def list(
        self,
        *,
        where: UserFilter = UserFilter(),  # noqa: B008 - frozen
        sort: UserSort = "-created_at",
        skip: int = 0,
        limit: int = 100,
        after: Position | None = None,
        count: bool = True,
    ) -> Page[User]:
        """Return a page of the users that fit `where`.

        Args:
            where: Which users the list holds; without fields, all.
            sort: Its order.
            skip: How many rows to pass over, 0 or more, counted from the start of the list or from
                `after`. More than there are gives an empty page.
            limit: The most rows to return, 0 to `MAX_LIMIT`. 0 gives an empty page with its count
                and no `next`.
            after: Begin just behind this position, whether or not its row still exists; its key is of
                the field that `sort` names. None begins with the first.
            count: Whether to count the whole list (without regard to `skip`, `limit` and `after`).

        Returns:
            `next` is the position of the page's last row if at least one more row follows it.
        """
        ...

    async def update(
        self,
        id: str,
        changes: UserChanges,
        *,
        versions: Collection[int] | None = None,
        end_sessions: bool = False,
    ) -> User:
        """Apply the fields that are set in `changes`, in one atomic step; return the result.

        `end_sessions` adds 1 to `session_version` in the same step. Without it and with no field set,
        nothing changes and the user is returned.

        Raises:
            NotFound: entity "user".
            VersionMismatch: entity "user": its version is none of `versions`; nothing was changed.
            AlreadyExists: entity "user", field "email": another user has the address; nothing was
                changed. A user's own address, given again, is no conflict.
        """
        ...

    async def delete(self, id: str, *, versions: Collection[int] | None = None) -> None:
        """Delete the user, all its items and its accounts, which must be empty, in one atomic step.

        When it has returned, no item or account of the user exists and none can come into being,
        whatever `ItemRepository.add` or `AccountRepository.add` was doing meanwhile.

        Raises:
            NotFound: entity "user".
            VersionMismatch: entity "user": its version is none of `versions`; it is still there.
            AccountNotEmpty: entity "user": there is money in one of its accounts; all is still there.
            NotSupported: operation "users.delete", capability TRANSACTIONS.
            Conflict: Concurrent changes of the same rows collided in every try.
        """
        ...
