"""Users in LMDB."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

import lmdb

from backends.errors import AccountNotEmpty
from backends.ids import Clock, IdSource
from backends.models import (
    NewUser,
    Page,
    Position,
    User,
    UserChanges,
    UserFilter,
    UserSort,
    normalise_email,
)
from eitherdb_lmdb.references import References
from eitherdb_lmdb.rows import ACCOUNTS, USERS, fits_times
from eitherdb_lmdb.store import Store


class LmdbUserRepository:
    """`backends.protocols.UserRepository`."""

    def __init__(self, store: Store, references: References, *, clock: Clock, id_source: IdSource) -> None:
        """Use this store, clock and id source."""
        self._store = store
        self._references = references
        self._clock = clock
        self._id_source = id_source

    async def add(self, new: NewUser) -> User:
        """See the protocol."""
        user = User(
            id=self._id_source(), created_at=self._clock(), version=1, session_version=0, **new.model_dump()
        )
        await self._store.write(lambda transaction: USERS.add(transaction, user))
        return user

    async def get(self, id: str) -> User:
        """See the protocol."""
        return await self._store.read(lambda transaction: USERS.require(transaction, id))

    async def find_by_email(self, email: str) -> User | None:
        """See the protocol."""
        try:
            address = normalise_email(email)
        except ValueError:
            return None
        return await self._store.read(lambda transaction: USERS.find(transaction, email=address))

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
        """See the protocol."""

        def fits(user: User) -> bool:
            return where.is_active in {None, user.is_active} and fits_times(user.created_at, where)

        return await self._store.read(
            lambda transaction: USERS.page(
                transaction, fits=fits, sort=sort, skip=skip, limit=limit, after=after, count=count
            )
        )

    async def update(
        self,
        id: str,
        changes: UserChanges,
        *,
        versions: Collection[int] | None = None,
        end_sessions: bool = False,
    ) -> User:
        """See the protocol."""
        values = changes.model_dump(exclude_unset=True)

        def work(transaction: lmdb.Transaction) -> User:
            user = USERS.require(transaction, id)
            USERS.check_version(user, versions)
            if not values and not end_sessions:
                return user
            sessions = user.session_version + end_sessions
            changed = replace(user, version=user.version + 1, session_version=sessions, **values)
            USERS.put(transaction, changed)
            return changed

        return await self._store.write(work)

    async def replace_hash(self, id: str, *, old: str, new: str) -> bool:
        """See the protocol."""

        def work(transaction: lmdb.Transaction) -> bool:
            user = USERS.get(transaction, id)
            if user is None or user.hashed_password != old:
                return False
            USERS.put(transaction, replace(user, hashed_password=new))
            return True

        return await self._store.write(work)

    async def delete(self, id: str, *, versions: Collection[int] | None = None) -> None:
        """See the protocol."""

        def work(transaction: lmdb.Transaction) -> None:
            USERS.check_version(USERS.require(transaction, id), versions)
            accounts = [
                ACCOUNTS.require(transaction, id_) for id_ in ACCOUNTS.ids(transaction, "created_at", id)
            ]
            if any(account.balance_minor for account in accounts):
                raise AccountNotEmpty("user", id)
            for account in accounts:
                ACCOUNTS.delete(transaction, account.id)
            self._references.delete(transaction, USERS.name, id)

        await self._store.write(work)
