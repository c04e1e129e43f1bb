"""The blocking form of `backends.protocols.users`.

Written by `make blocking`. Change that module, and write this one again.
"""

from __future__ import annotations

from collections.abc import Collection

from backends import protocols
from backends.models import NewUser, Page, Position, User, UserChanges, UserFilter, UserSort
from eitherdb.blocking.opened import Blocking


class UserRepository(Blocking[protocols.UserRepository]):
    """Users, unique by email address."""

    def add(self, new: NewUser) -> User:
        """Store a user with a new id and the current time.

        Raises:
            AlreadyExists: entity "user", field "email": another user has the address. Of any number of
                concurrent calls with one address, exactly one succeeds. Field "id": the id source
                returned an id that is in use.
        """
        return self._write("add", lambda part: part.add(new))

    def get(self, id: str) -> User:
        """Return the user with this id.

        Raises:
            NotFound: entity "user".
        """
        return self._call(lambda part: part.get(id))

    def find_by_email(self, email: str) -> User | None:
        """Return the user with this address, in any spelling that `normalise_email` maps to it.

        Return None if no user has the address, or if the text is not an email address.
        """
        return self._call(lambda part: part.find_by_email(email))

    def list(
        self,
        *,
        where: UserFilter = UserFilter(),  # noqa: B008 - frozen
        sort: UserSort = "-created_at",
        skip: int = 0,
        limit: int = 100,
        after: Position | None = None,
        count: bool = True,
    ) -> Page[User]:
        """Return a page of the users that match `where`.

        Args:
            where: The filter of the list; without fields, all users match.
            sort: The order of the list.
            skip: The number of rows to skip, 0 or more, from the start of the list or from `after`. If
                it exceeds the rows of the list, the page is empty.
            limit: The maximum number of rows, 0 to `MAX_LIMIT`. With 0 the page is empty, with its count
                and no `next`.
            after: Start right after this position, whether or not its row still exists. Its key is a
                value of the field that `sort` names. None starts with the first row.
            count: Whether to count the whole list, regardless of `skip`, `limit` and `after`.

        Returns:
            The page. `next` is the position of its last row if at least one more row follows it.
        """
        return self._call(
            lambda part: part.list(where=where, sort=sort, skip=skip, limit=limit, after=after, count=count)
        )

    def update(
        self,
        id: str,
        changes: UserChanges,
        *,
        versions: Collection[int] | None = None,
        end_sessions: bool = False,
    ) -> User:
        """Update the fields that are set in `changes`, in one atomic step; return the user.

        `end_sessions` adds 1 to `session_version` in the same step. Without `end_sessions` and without a
        set field, nothing changes and the user is returned. The user is unchanged after an error.

        Raises:
            NotFound: entity "user".
            VersionMismatch: entity "user": the user's version is not in `versions`.
            AlreadyExists: entity "user", field "email": another user has the address. The user's own
                address is not a conflict.
        """
        return self._write(
            "update", lambda part: part.update(id, changes, versions=versions, end_sessions=end_sessions)
        )

    def replace_hash(self, id: str, *, old: str, new: str) -> bool:
        """Replace the hash of an unchanged password, in one atomic step.

        The hash is replaced only if `hashed_password` is still `old`, so a concurrent password change
        survives. `version` and `session_version` do not change: clients see the same user.

        Returns:
            Whether the hash was replaced: False if `hashed_password` differs or the user does not exist.
        """
        return self._write("replace_hash", lambda part: part.replace_hash(id, old=old, new=new))

    def delete(self, id: str, *, versions: Collection[int] | None = None) -> None:
        """Delete the user with all items and all accounts, whose balances must be 0, in one atomic step.

        Once this method has returned, no item or account of the user exists and none can be added, even
        by a concurrent `ItemRepository.add` or `AccountRepository.add`. Nothing is deleted after an error.

        Raises:
            NotFound: entity "user".
            VersionMismatch: entity "user": the user's version is not in `versions`.
            AccountNotEmpty: entity "user": the balance of one of the accounts is not 0.
            NotSupported: operation "users.delete", capability TRANSACTIONS.
            Conflict: Concurrent changes of the same rows collided in every attempt.
        """
        return self._write("delete", lambda part: part.delete(id, versions=versions))
