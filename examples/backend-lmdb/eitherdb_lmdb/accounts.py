"""Accounts in LMDB. `eitherdb_lmdb.transfers` has the operations that move money."""

from __future__ import annotations

from collections.abc import Collection
from typing import cast

import lmdb

from backends.errors import AccountNotEmpty, NotOwner
from backends.models import Account, AccountFilter, AccountSort, Idempotency, NewAccount, Page, Position
from eitherdb_lmdb.rows import ACCOUNTS, USERS, fits_times
from eitherdb_lmdb.transfers import LmdbLedger, find_outcome, keep


class LmdbAccountRepository(LmdbLedger):
    """`backends.protocols.AccountRepository`."""

    async def add(
        self, new: NewAccount, *, owner_id: str, idempotency: Idempotency | None = None
    ) -> Account:
        """See the protocol."""
        account = Account(
            id=self._id_source(),
            owner_id=owner_id,
            created_at=self._clock(),
            balance_minor=0,
            version=1,
            **new.model_dump(),
        )

        def work(transaction: lmdb.Transaction) -> Account:
            if idempotency is not None:
                kept = find_outcome(transaction, owner_id, idempotency)
                if kept is not None:
                    return cast("Account", kept)  # A fingerprint belongs to one operation.
            USERS.require(transaction, owner_id)
            ACCOUNTS.add(transaction, account)
            if idempotency is not None:
                keep(transaction, account, owner_id, idempotency, created_at=account.created_at)
            return account

        return await self._store.write(work)

    async def get(self, id: str, *, owner_id: str | None = None) -> Account:
        """See the protocol."""
        return await self._store.read(lambda transaction: _get(transaction, id, owner_id))

    async def list(
        self,
        *,
        owner_id: str | None = None,
        where: AccountFilter = AccountFilter(),  # noqa: B008 - frozen
        sort: AccountSort = "-created_at",
        skip: int = 0,
        limit: int = 100,
        after: Position | None = None,
        count: bool = True,
    ) -> Page[Account]:
        """See the protocol."""

        def fits(account: Account) -> bool:
            return where.currency in {None, account.currency} and fits_times(account.created_at, where)

        return await self._store.read(
            lambda transaction: ACCOUNTS.page(
                transaction,
                owner_id=owner_id,
                fits=fits,
                sort=sort,
                skip=skip,
                limit=limit,
                after=after,
                count=count,
            )
        )

    async def delete(
        self, id: str, *, owner_id: str | None = None, versions: Collection[int] | None = None
    ) -> None:
        """See the protocol."""

        def work(transaction: lmdb.Transaction) -> None:
            account = _get(transaction, id, owner_id)
            ACCOUNTS.check_version(account, versions)
            if account.balance_minor:
                raise AccountNotEmpty("account", id)
            ACCOUNTS.delete(transaction, id)

        await self._store.write(work)


def _get(transaction: lmdb.Transaction, id: str, owner_id: str | None) -> Account:
    account = ACCOUNTS.require(transaction, id)
    if owner_id not in {None, account.owner_id}:
        raise NotOwner("account", id)
    return account
