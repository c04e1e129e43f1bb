"""Accounts in MongoDB; `backends.mongo.transfers` has the methods that move money."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING, cast

from bson import Int64
from pymongo.read_concern import ReadConcern

from backends.cancellation import run_to_completion
from backends.capabilities import Capability
from backends.errors import (
    AccountNotEmpty,
    AlreadyExists,
    NotFound,
    NotOwner,
    NotSupported,
    VersionMismatch,
)
from backends.models import (
    Account,
    AccountFilter,
    AccountSort,
    Idempotency,
    NewAccount,
    Page,
    Position,
)
from backends.mongo.driver import Document
from backends.mongo.errors import DuplicateKey, translate_errors
from backends.mongo.pages import Order, created_between, fetch_page
from backends.mongo.schema import object_id
from backends.mongo.transfers import MongoLedger, account_row
from backends.retry import retry_conflicts

if TYPE_CHECKING:
    from backends.mongo.driver import Session


def _conditions(owner_id: str | None, where: AccountFilter) -> list[Document]:
    conditions = created_between(where.created_after, where.created_before)
    if owner_id is not None:
        conditions.append({"owner_id": object_id(owner_id)})
    if where.currency is not None:
        conditions.append({"currency": where.currency})
    return conditions


class MongoAccountRepository(MongoLedger):
    """`backends.protocols.AccountRepository`."""

    async def add(
        self, new: NewAccount, *, owner_id: str, idempotency: Idempotency | None = None
    ) -> Account:
        """See the protocol.

        The transaction writes to the owner's document, so that it conflicts with a deletion of the owner.
        Without transactions the backend doesn't delete owners either.
        """
        has_transactions = Capability.TRANSACTIONS in self._capabilities
        if idempotency is not None and not has_transactions:
            raise NotSupported("accounts.add with an idempotency key", Capability.TRANSACTIONS)
        account = Account(
            id=self._id_source(),
            owner_id=owner_id,
            created_at=self._clock(),
            balance_minor=0,
            version=1,
            **new.model_dump(),
        )

        async def attempt() -> Account:
            with translate_errors():
                if not has_transactions:
                    return await self._write_new(account, idempotency, None)
                return await self._transact(lambda session: self._write_new(account, idempotency, session))

        async with self._locks.hold([owner_id]):
            try:
                return await retry_conflicts(
                    lambda: run_to_completion(attempt()),
                    deadline_seconds=self._retry_deadline_seconds,
                    lost_connections=idempotency is not None,
                )
            except (DuplicateKey, NotFound) as refusal:
                outcome = await self._find_outcome(owner_id, idempotency) if idempotency else None
                if outcome is not None:
                    return cast("Account", outcome)  # the fingerprint includes the operation
                if isinstance(refusal, NotFound):
                    raise
                raise AlreadyExists("account", "id") from refusal

    async def _write_new(
        self, account: Account, idempotency: Idempotency | None, session: Session | None
    ) -> Account:
        owner = object_id(account.owner_id)
        noted = await self._users.update_one(
            {"_id": owner}, {"$inc": {"accounts_opened": 1}}, session=session
        )
        if not noted.matched_count:
            raise NotFound("user", account.owner_id)
        document = {
            "_id": object_id(account.id),
            "owner_id": owner,
            "name": account.name,
            "currency": account.currency,
            "balance_minor": Int64(account.balance_minor),
            "created_at": account.created_at,
            "version": account.version,
        }
        await self._accounts.insert_one(document, session=session)
        if idempotency is not None:
            kept = self._kept(account, account.owner_id, idempotency)
            await self._keys.insert_one(kept, session=session)
        return account

    async def get(self, id: str, *, owner_id: str | None = None) -> Account:
        """See the protocol."""
        account = await self._by_id.get(id)
        if account is None:
            raise NotFound("account", id)
        if owner_id is not None and account.owner_id != owner_id:
            raise NotOwner("account", id)
        return account

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
        accounts = self._accounts
        if Capability.TRANSACTIONS in self._capabilities:
            # Without a snapshot, a query may see one account after a transfer and the other before it.
            accounts = accounts.with_options(read_concern=ReadConcern("snapshot"))
        return await fetch_page(
            self._driver,
            accounts,
            _conditions(owner_id, where),
            account_row,
            Account,
            order=Order.by(sort),
            skip=skip,
            limit=limit,
            after=after,
            count=count,
        )

    async def delete(
        self, id: str, *, owner_id: str | None = None, versions: Collection[int] | None = None
    ) -> None:
        """See the protocol."""
        guards: Document = {"_id": object_id(id), "balance_minor": 0}
        if owner_id is not None:
            guards["owner_id"] = object_id(owner_id)
        if versions is not None:
            guards["version"] = {"$in": list(versions)}
        with translate_errors():
            deleted = await self._accounts.delete_one(guards)
        if not deleted.deleted_count:
            account = await self.get(id, owner_id=owner_id)
            if versions is not None and account.version not in versions:
                raise VersionMismatch("account", id)
            raise AccountNotEmpty("account", id)
