"""Users in LMDB. `email:<SHA-256 of the address>` holds the id of the user with that address."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from hashlib import sha256

import lmdb

from backends.errors import AccountNotEmpty, AlreadyExists, NotFound
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
from eitherdb_lmdb.rows import ACCOUNTS, ITEMS, USERS, check_version, fits_times
from eitherdb_lmdb.store import Store, value_at


def _email_key(email: str) -> bytes:
    return b"email:" + sha256(email.encode()).digest()


class LmdbUserRepository:
    """`backends.protocols.UserRepository`."""

    def __init__(self, store: Store, *, clock: Clock, id_source: IdSource) -> None:
        """Use this store, clock and id source."""
        self._store = store
        self._clock = clock
        self._id_source = id_source

    async def add(self, new: NewUser) -> User:
        """See the protocol."""
        user = User(
            id=self._id_source(), created_at=self._clock(), version=1, session_version=0, **new.model_dump()
        )

        def work(transaction: lmdb.Transaction) -> User:
            if USERS.get(transaction, user.id) is not None:
                raise AlreadyExists("user", "id")
            _take_email(transaction, user)
            USERS.put(transaction, user)
            return user

        return await self._store.write(work)

    async def get(self, id: str) -> User:
        """See the protocol."""
        return await self._store.read(lambda transaction: _get(transaction, id))

    async def find_by_email(self, email: str) -> User | None:
        """See the protocol."""
        try:
            key = _email_key(normalise_email(email))
        except ValueError:
            return None

        def work(transaction: lmdb.Transaction) -> User | None:
            id_ = value_at(transaction, key)
            return None if id_ is None else USERS.get(transaction, id_.decode())

        return await self._store.read(work)

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
            user = _get(transaction, id)
            check_version(user, versions)
            if not values and not end_sessions:
                return user
            sessions = user.session_version + end_sessions
            changed = replace(user, version=user.version + 1, session_version=sessions, **values)
            if changed.email != user.email:
                _take_email(transaction, changed)
                transaction.delete(_email_key(user.email))
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
            user = _get(transaction, id)
            check_version(user, versions)
            accounts = ACCOUNTS.of_owner(transaction, id)
            if any(account.balance_minor for account in accounts):
                raise AccountNotEmpty("user", id)
            for account in accounts:
                ACCOUNTS.delete(transaction, account.id)
            for item in ITEMS.of_owner(transaction, id):
                ITEMS.delete(transaction, item.id)
            transaction.delete(_email_key(user.email))
            USERS.delete(transaction, id)

        await self._store.write(work)


def _get(transaction: lmdb.Transaction, id: str) -> User:
    user = USERS.get(transaction, id)
    if user is None:
        raise NotFound("user", id)
    return user


def _take_email(transaction: lmdb.Transaction, user: User) -> None:
    if not transaction.put(_email_key(user.email), user.id.encode(), overwrite=False):
        raise AlreadyExists("user", "email")
