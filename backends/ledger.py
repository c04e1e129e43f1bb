"""The rules of postings, independent of the database: refusals, retries and idempotency.

A backend implements the abstract methods of `Ledger` with its database's transactions.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Sequence

from backends.capabilities import Capability
from backends.concurrency import KeyedLocks
from backends.errors import AlreadyExists, BackendError, Conflict, NotFound, NotOwner, NotSupported
from backends.idempotency import EntryId, Outcome, Success
from backends.ids import Clock, IdSource
from backends.models import (
    Account,
    Idempotency,
    NewEntry,
    NewTransfer,
    Statement,
    StatementEntry,
    Transfer,
)
from backends.postings import Posting, entry_of, refusal_of
from backends.retry import retry_conflicts

__all__ = ["STATEMENT_BATCH", "Ledger", "Posting", "Refused", "Taken", "refusal_of"]

STATEMENT_BATCH = 1000
"""The number of entries per batch of a statement."""


class Refused(Exception):
    """A condition of a write did not hold. The transaction is rolled back; the caller finds the reason."""


class Taken(Exception):
    """A unique value, an idempotency key or an id, is in use. The transaction is rolled back."""


class Ledger(ABC):
    """The methods of `backends.protocols.AccountRepository` that write and read ledger entries."""

    def __init__(
        self,
        *,
        capabilities: frozenset[Capability],
        wait_timeout_seconds: float,
        retry_deadline_seconds: float,
        clock: Clock,
        id_source: IdSource,
    ) -> None:
        """Use this clock and this source of ids.

        Args:
            capabilities: The capabilities of the backend.
            wait_timeout_seconds: The timeout for account locks: `db_pool_timeout_seconds`.
            retry_deadline_seconds: The time limit for retries: `db_command_timeout_seconds`.
            clock: The backend's clock.
            id_source: The backend's source of ids.
        """
        self._capabilities = capabilities
        self._locks = KeyedLocks(wait_timeout_seconds=wait_timeout_seconds)
        self._retry_deadline_seconds = retry_deadline_seconds
        self._clock = clock
        self._id_source = id_source

    async def transfer(
        self,
        new: NewTransfer,
        *,
        ordered_by: str,
        owner_id: str | None = None,
        idempotency: Idempotency | None = None,
    ) -> Transfer:
        """See the protocol."""
        return await self._enter(
            "accounts.transfer",
            new,
            from_account_id=new.from_account_id,
            to_account_id=new.to_account_id,
            ordered_by=ordered_by,
            owner_id=owner_id,
            idempotency=idempotency,
        )

    async def deposit(
        self, id: str, new: NewEntry, *, ordered_by: str, idempotency: Idempotency | None = None
    ) -> Transfer:
        """See the protocol."""
        return await self._enter(
            "accounts.deposit", new, to_account_id=id, ordered_by=ordered_by, idempotency=idempotency
        )

    async def withdraw(
        self, id: str, new: NewEntry, *, ordered_by: str, idempotency: Idempotency | None = None
    ) -> Transfer:
        """See the protocol."""
        return await self._enter(
            "accounts.withdraw", new, from_account_id=id, ordered_by=ordered_by, idempotency=idempotency
        )

    async def _enter(
        self,
        operation: str,
        new: NewEntry,
        *,
        ordered_by: str,
        idempotency: Idempotency | None,
        from_account_id: str | None = None,
        to_account_id: str | None = None,
        owner_id: str | None = None,
    ) -> Transfer:
        if Capability.TRANSACTIONS not in self._capabilities:
            raise NotSupported(operation, Capability.TRANSACTIONS)
        posting = Posting(
            id=self._id_source(),
            ordered_by=ordered_by,
            owner_id=owner_id,
            from_account_id=from_account_id,
            to_account_id=to_account_id,
            amount_minor=new.amount_minor,
            note=new.note,
            created_at=self._clock(),
            idempotency=idempotency,
        )
        async with self._locks.hold(posting.account_ids):
            # The id stays the same in every attempt, so that a retry can't post twice.
            return await retry_conflicts(
                lambda: self._carry_out(posting),
                deadline_seconds=self._retry_deadline_seconds,
                lost_connections=True,
            )

    async def _carry_out(self, posting: Posting) -> Transfer:
        try:
            return await self._post(posting)
        except Taken as taken:
            return await self._posted_before(posting, taken)
        except Refused as refused:
            return await self._refuse(posting, refused)

    async def _posted_before(self, posting: Posting, cause: Taken | Refused) -> Transfer:
        """Return the entry of an earlier call with this key, or of an earlier attempt of this call.

        Raises:
            AlreadyExists: Another entry has the id.
        """
        if posting.idempotency is not None:
            outcome = await self._find_outcome(posting.ordered_by, posting.idempotency)
            made = await self._find_transfer(outcome) if isinstance(outcome, EntryId) else None
            if made is not None:
                return made
        earlier = await self._find_transfer(posting.id)
        if earlier is None:
            raise BackendError("the ledger refused an entry") from cause
        if not posting.is_of(earlier):
            raise AlreadyExists("transfer", "id") from cause
        return earlier

    async def _refuse(self, posting: Posting, refused: Refused) -> Transfer:
        """Store and raise the reason of a refusal, or return the entry of an earlier attempt."""
        accounts = await self._find_accounts(posting.account_ids)
        refusal = refusal_of(posting, {account.id: account for account in accounts})
        if await self._find_transfer(posting.id) is not None:
            return await self._posted_before(posting, refused)
        if refusal is None:
            raise Conflict("the accounts changed meanwhile")
        if posting.idempotency is not None:
            try:
                await self._keep(refusal, posting.ordered_by, posting.idempotency)
            except Taken as taken:
                return await self._posted_before(posting, taken)
        raise refusal

    async def get_transfer(self, id: str, *, owner_id: str | None = None) -> Transfer:
        """See the protocol."""
        transfer = await self._find_transfer(id)
        if transfer is None:
            raise NotFound("transfer", id)
        if owner_id is not None and owner_id not in transfer.parties:
            raise NotOwner("transfer", id)
        return transfer

    async def statement(self, id: str, *, owner_id: str | None = None) -> Statement:
        """See the protocol."""
        account = await self.get(id, owner_id=owner_id)
        return Statement(account=account, entries=self._entries(account))

    async def _entries(self, account: Account) -> AsyncIterator[list[StatementEntry]]:
        """Fetch the entries up to the account's version. Concurrent entries have later versions."""
        for first in range(2, account.version + 1, STATEMENT_BATCH):
            last = min(first + STATEMENT_BATCH - 1, account.version)
            transfers = await self._find_versions(account.id, first, last)
            entries = [entry_of(account.id, transfer) for transfer in transfers]
            yield sorted(entries, key=lambda entry: entry.version)

    @abstractmethod
    async def get(self, id: str, *, owner_id: str | None = None) -> Account:
        """See the protocol."""

    @abstractmethod
    async def _find_versions(self, account_id: str, first: int, last: int) -> list[Transfer]:
        """Return the account's entries with the versions `first` to `last`, inclusive, in any order."""

    @abstractmethod
    async def _post(self, posting: Posting) -> Transfer:
        """Change the accounts, add the entry and store the outcome under the key, in one transaction.

        If both apply, Taken precedes Refused.

        Raises:
            Taken: The id or the key is in use; nothing was changed.
            Refused: A condition on an account does not hold; nothing was changed.
            Conflict: The transaction collided with another; nothing was changed.
            ConnectionLost: The transaction may have been committed.
        """

    @abstractmethod
    async def _find_transfer(self, id: str) -> Transfer | None:
        """Return the entry with this id, or None."""

    @abstractmethod
    async def _find_accounts(self, ids: Sequence[str]) -> list[Account]:
        """Return the accounts with these ids, without those that don't exist."""

    @abstractmethod
    async def _keep(self, outcome: Outcome, owner_id: str, idempotency: Idempotency) -> None:
        """Store a refusal under the key, in a separate transaction that changes nothing else.

        Raises:
            Taken: The key has an outcome already.
        """

    @abstractmethod
    async def _find_outcome(self, owner_id: str, idempotency: Idempotency) -> Success | None:
        """Return the stored outcome, read with `read_outcome`; None if the key has none."""
