"""The contract of accounts and of the ledger."""

from __future__ import annotations

from collections.abc import Collection
from typing import Protocol

from backends.models import (
    Account,
    AccountFilter,
    AccountSort,
    Idempotency,
    NewAccount,
    NewEntry,
    NewTransfer,
    Page,
    Position,
    Statement,
    Transfer,
    TransferFilter,
    TransferSort,
)


class AccountRepository(Protocol):
    """Accounts and the ledger of what moved between them.

    The sum of all balances equals what was deposited less what was withdrawn, at every moment: an entry
    and its accounts change in one atomic step, in any number of processes. Where a method takes
    `owner_id`, None means whoever owns the account; an id limits the method to accounts of that user.

    *Idempotency*: where a method takes `idempotency`, the first call of a user with this key is carried
    out and its outcome kept for good, in the same atomic step; every later one returns that outcome or
    raises that error again and does nothing, whatever has changed. The user is who ordered it
    (`ordered_by`), or the owner of the new account. Of any number of concurrent calls one is carried out.
    A key that was used with another fingerprint raises IdempotencyKeyReused. Only outcomes are kept: not
    `Unavailable`, `NotSupported` or `BackendError` itself.

    *Lost connections*: a method that adds to the ledger tries again by itself, and finds out whether the
    try before was carried out. If it raises `Unavailable` nevertheless, a repetition with the same
    idempotency key is safe.
    """

    async def add(
        self, new: NewAccount, *, owner_id: str, idempotency: Idempotency | None = None
    ) -> Account:
        """Store an account of this owner with a balance of 0; the key is the owner's.

        Raises:
            NotFound: entity "user", id `owner_id`, as in `ItemRepository.add`; is not kept.
            AlreadyExists: entity "account", field "id": the id source gave an id that is in use; is not
                kept.
            IdempotencyKeyReused: See the class.
            NotSupported: operation "accounts.add with an idempotency key", capability TRANSACTIONS.
        """
        ...

    async def get(self, id: str, *, owner_id: str | None = None) -> Account:
        """Return the account with this id.

        Raises:
            NotFound: entity "account".
            NotOwner: entity "account": it belongs to another user than `owner_id`.
        """
        ...

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
        """Return a page of the accounts; the other arguments and the result: see `UserRepository.list`.

        The page is of one moment: where it holds all accounts, their balances add up.
        """
        ...

    async def delete(
        self, id: str, *, owner_id: str | None = None, versions: Collection[int] | None = None
    ) -> None:
        """Delete an account without money; its entries stay in the ledger.

        Raises:
            NotFound: entity "account".
            NotOwner: entity "account": it belongs to another user than `owner_id`; it is still there.
            VersionMismatch: entity "account": its version is none of `versions`; it is still there.
            AccountNotEmpty: entity "account"; it is still there.
        """
        ...

    async def transfer(
        self,
        new: NewTransfer,
        *,
        ordered_by: str,
        owner_id: str | None = None,
        idempotency: Idempotency | None = None,
    ) -> Transfer:
        """Move money from one account to another and write it into the ledger, in one atomic step.

        Args:
            new: The two accounts and the amount.
            ordered_by: The user who wants it, whose the key is.
            owner_id: Who must own the account that the money comes from.
            idempotency: See the class.

        Raises:
            NotFound: entity "account": the first of the two, or else the second, does not exist.
            NotOwner: entity "account": the first belongs to another user than `owner_id`.
            CurrencyMismatch: They have different currencies.
            InsufficientFunds: The first has less than the amount.
            BalanceOverflow: The second can't hold as much more.
            AlreadyExists: entity "transfer", field "id": the id source gave an id that is in use; is not
                kept.
            IdempotencyKeyReused: See the class.
            NotSupported: operation "accounts.transfer", capability TRANSACTIONS; before all others.

            After any of them nothing has changed. If there are several reasons, this is their order: a key
            that was used, an id in use, the first account, its owner, the second account, currency, funds,
            overflow.
        """
        ...

    async def deposit(
        self, id: str, new: NewEntry, *, ordered_by: str, idempotency: Idempotency | None = None
    ) -> Transfer:
        """Bring money into an account from outside; the entry's `source` is None.

        Raises:
            NotFound: entity "account".
            BalanceOverflow: It can't hold as much more.
            AlreadyExists: As in `transfer`.
            IdempotencyKeyReused: See the class.
            NotSupported: operation "accounts.deposit", capability TRANSACTIONS; before all others.
        """
        ...

    async def withdraw(
        self, id: str, new: NewEntry, *, ordered_by: str, idempotency: Idempotency | None = None
    ) -> Transfer:
        """Take money out of an account; the entry's `target` is None.

        Raises:
            NotFound: entity "account".
            InsufficientFunds: It has less than that.
            AlreadyExists: As in `transfer`.
            IdempotencyKeyReused: See the class.
            NotSupported: operation "accounts.withdraw", capability TRANSACTIONS; before all others.
        """
        ...

    async def get_transfer(self, id: str, *, owner_id: str | None = None) -> Transfer:
        """Return the entry with this id.

        Raises:
            NotFound: entity "transfer".
            NotOwner: entity "transfer": neither of its accounts was of the user `owner_id`, and somebody
                else ordered it.
        """
        ...

    async def transfers(
        self,
        *,
        owner_id: str | None = None,
        where: TransferFilter = TransferFilter(),  # noqa: B008 - frozen
        sort: TransferSort = "-created_at",
        skip: int = 0,
        limit: int = 100,
        after: Position | None = None,
        count: bool = True,
    ) -> Page[Transfer]:
        """Return a page of the entries; the other arguments and the result: see `UserRepository.list`.

        An `owner_id` limits it to the entries from and to accounts of that user, those deleted included.
        """
        ...

    async def statement(self, id: str, *, owner_id: str | None = None) -> Statement:
        """Return the account and all its entries as they are at this moment.

        Fetching the entries may raise `Unavailable` and `BackendError`.

        Raises:
            NotFound: entity "account".
            NotOwner: entity "account": it belongs to another user than `owner_id`.
        """
        ...
