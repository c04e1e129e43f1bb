"""The blocking form of `backends.protocols.accounts`.

Written by `make blocking`. Change that module, and write this one again.
"""

from __future__ import annotations

from collections.abc import Collection

from backends import protocols
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
    Transfer,
    TransferFilter,
    TransferSort,
)
from eitherdb.blocking.opened import Blocking
from eitherdb.blocking.statement import Statement


class AccountRepository(Blocking[protocols.AccountRepository]):
    """Accounts, and the ledger of the entries that change their balances.

    At every moment, the sum of all balances equals all deposits minus all withdrawals. An entry and its
    accounts change in one atomic step, in any number of processes. A method that takes `owner_id` is
    limited to the accounts of that user; None allows every owner.

    *Idempotency*: a method that takes `idempotency` executes a user's first call with this key. It stores
    the outcome permanently in the same atomic step. Every later call returns that outcome or raises that
    error again, and changes nothing, whatever has changed since. The user is `ordered_by`, or the owner of
    the new account. Of any number of concurrent calls, one is executed. A key that was used with another
    fingerprint raises IdempotencyKeyReused. `Unavailable`, `NotSupported` and plain `BackendError` are not
    outcomes and are not stored.

    *Lost connections*: a method that adds an entry retries. It first finds out whether the previous
    attempt took effect. If it still raises `Unavailable`, the caller can safely retry with the same
    idempotency key.
    """

    def add(self, new: NewAccount, *, owner_id: str, idempotency: Idempotency | None = None) -> Account:
        """Store an account of this owner with a balance of 0; the idempotency key belongs to the owner.

        Raises:
            NotFound: entity "user", id `owner_id`, as in `ItemRepository.add`. Not stored as an outcome.
            AlreadyExists: entity "account", field "id": the id source returned an id that is in use. Not
                stored as an outcome.
            IdempotencyKeyReused: See the class.
            NotSupported: operation "accounts.add with an idempotency key", capability TRANSACTIONS.
        """
        return self._write("add", lambda part: part.add(new, owner_id=owner_id, idempotency=idempotency))

    def get(self, id: str, *, owner_id: str | None = None) -> Account:
        """Return the account with this id.

        Raises:
            NotFound: entity "account".
            NotOwner: entity "account": the account belongs to another user than `owner_id`.
        """
        return self._call(lambda part: part.get(id, owner_id=owner_id))

    def list(
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
        """Return a page of the accounts; see `UserRepository.list` for the other arguments and the result.

        The page is a snapshot: if it has all accounts, their balances add up.
        """
        return self._call(
            lambda part: part.list(
                owner_id=owner_id, where=where, sort=sort, skip=skip, limit=limit, after=after, count=count
            )
        )

    def delete(
        self, id: str, *, owner_id: str | None = None, versions: Collection[int] | None = None
    ) -> None:
        """Delete an account whose balance is 0; its entries stay in the ledger.

        The account is unchanged after an error.

        Raises:
            NotFound: entity "account".
            NotOwner: entity "account": the account belongs to another user than `owner_id`.
            VersionMismatch: entity "account": the account's version is not in `versions`.
            AccountNotEmpty: entity "account": the balance is not 0.
        """
        return self._write("delete", lambda part: part.delete(id, owner_id=owner_id, versions=versions))

    def transfer(
        self,
        new: NewTransfer,
        *,
        ordered_by: str,
        owner_id: str | None = None,
        idempotency: Idempotency | None = None,
    ) -> Transfer:
        """Move money from one account to another and add the entry to the ledger, in one atomic step.

        Args:
            new: The source account, the target account and the amount.
            ordered_by: The user who orders the transfer. The idempotency key belongs to this user.
            owner_id: The user who must own the source account.
            idempotency: See the class.

        Raises:
            NotFound: entity "account": the source account, or else the target account, does not exist.
            NotOwner: entity "account": the source account belongs to another user than `owner_id`.
            CurrencyMismatch: The accounts have different currencies.
            InsufficientFunds: The source account's balance is less than the amount.
            BalanceOverflow: The target account's balance would exceed `MAX_MINOR`.
            AlreadyExists: entity "transfer", field "id": the id source returned an id that is in use. Not
                stored as an outcome.
            IdempotencyKeyReused: See the class.
            NotSupported: operation "accounts.transfer", capability TRANSACTIONS; before all others.

            Nothing has changed after any of these errors. If several errors apply, they are raised in this
            order: used key, used id, source account, its owner, target account, currency, funds, overflow.
        """
        return self._write(
            "transfer",
            lambda part: part.transfer(
                new, ordered_by=ordered_by, owner_id=owner_id, idempotency=idempotency
            ),
        )

    def deposit(
        self, id: str, new: NewEntry, *, ordered_by: str, idempotency: Idempotency | None = None
    ) -> Transfer:
        """Deposit money into an account; the entry's `source` is None.

        Raises:
            NotFound: entity "account".
            BalanceOverflow: The balance would exceed `MAX_MINOR`.
            AlreadyExists: As in `transfer`.
            IdempotencyKeyReused: See the class.
            NotSupported: operation "accounts.deposit", capability TRANSACTIONS; before all others.
        """
        return self._write(
            "deposit", lambda part: part.deposit(id, new, ordered_by=ordered_by, idempotency=idempotency)
        )

    def withdraw(
        self, id: str, new: NewEntry, *, ordered_by: str, idempotency: Idempotency | None = None
    ) -> Transfer:
        """Withdraw money from an account; the entry's `target` is None.

        Raises:
            NotFound: entity "account".
            InsufficientFunds: The balance is less than the amount.
            AlreadyExists: As in `transfer`.
            IdempotencyKeyReused: See the class.
            NotSupported: operation "accounts.withdraw", capability TRANSACTIONS; before all others.
        """
        return self._write(
            "withdraw", lambda part: part.withdraw(id, new, ordered_by=ordered_by, idempotency=idempotency)
        )

    def get_transfer(self, id: str, *, owner_id: str | None = None) -> Transfer:
        """Return the entry with this id.

        Raises:
            NotFound: entity "transfer".
            NotOwner: entity "transfer": the user `owner_id` owned neither of its accounts and did not order
                it.
        """
        return self._call(lambda part: part.get_transfer(id, owner_id=owner_id))

    def transfers(
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
        """Return a page of the entries; see `UserRepository.list` for the other arguments and the result.

        `owner_id` limits the list to entries from and to accounts of that user, including deleted accounts.
        """
        return self._call(
            lambda part: part.transfers(
                owner_id=owner_id, where=where, sort=sort, skip=skip, limit=limit, after=after, count=count
            )
        )

    def statement(self, id: str, *, owner_id: str | None = None) -> Statement:
        """Return a snapshot of the account and all its entries.

        Fetching the entries may raise `Unavailable` and `BackendError`.

        Raises:
            NotFound: entity "account".
            NotOwner: entity "account": the account belongs to another user than `owner_id`.
        """
        found = self._call(lambda part: part.statement(id, owner_id=owner_id))
        return Statement(account=found.account, entries=self._iterate(found.entries))
