"""What moving money means, wherever it is stored: which postings are refused, and what is done once only.

A backend adds how its database does it atomically: the abstract methods of `Ledger`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from backends.capabilities import Capability
from backends.concurrency import KeyedLocks
from backends.errors import (
    AlreadyExists,
    BackendError,
    BalanceOverflow,
    Conflict,
    CurrencyMismatch,
    InsufficientFunds,
    NotFound,
    NotOwner,
    NotSupported,
)
from backends.idempotency import EntryId, Outcome
from backends.ids import Clock, IdSource
from backends.models import (
    MAX_MINOR,
    Account,
    Idempotency,
    NewEntry,
    NewTransfer,
    Side,
    Statement,
    StatementEntry,
    Transfer,
)
from backends.retry import retry_conflicts

STATEMENT_BATCH = 1000
"""How many entries of a statement are fetched at once."""


class Refused(Exception):
    """A guard in the data was against it: what was begun is rolled back, and the reason looked for."""


class Taken(Exception):
    """A unique value was in use, an idempotency key's or an id's: what was begun is rolled back."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Posting:
    """An entry that is to be made; see `backends.models.Transfer`.

    Attributes:
        owner_id: Who must own the account that the money comes from; None for whoever.
    """

    id: str
    ordered_by: str
    owner_id: str | None
    from_account_id: str | None
    to_account_id: str | None
    amount_minor: int
    note: str | None
    created_at: datetime
    idempotency: Idempotency | None

    @property
    def account_ids(self) -> list[str]:
        """The accounts in the order in which everybody locks them, so that nobody waits in a circle."""
        return sorted(id_ for id_ in (self.from_account_id, self.to_account_id) if id_ is not None)

    @property
    def key(self) -> str | None:
        """The caller's idempotency key."""
        return None if self.idempotency is None else self.idempotency.key

    def entry(self, source: Side | None, target: Side | None) -> Transfer:
        """Return the entry that it becomes once its accounts have changed."""
        return Transfer(
            id=self.id,
            ordered_by=self.ordered_by,
            source=source,
            target=target,
            amount_minor=self.amount_minor,
            note=self.note,
            created_at=self.created_at,
            idempotency_key=self.key,
        )

    def is_of(self, transfer: Transfer) -> bool:
        """Tell whether an entry with this id is what an earlier try of this posting made."""
        accounts = (transfer.from_account_id, transfer.to_account_id)
        return accounts == (self.from_account_id, self.to_account_id) and transfer == self.entry(
            transfer.source, transfer.target
        )


def refusal_of(posting: Posting, accounts: Mapping[str, Account]) -> BackendError | None:  # noqa: PLR0911 - one a reason
    """Say why a posting can't be carried out with the accounts as they are; None if it can.

    The one place that decides which reason comes first, so that it is the same on every backend.
    """
    source = target = None
    if posting.from_account_id is not None:
        source = accounts.get(posting.from_account_id)
        if source is None:
            return NotFound("account", posting.from_account_id)
        if posting.owner_id not in {None, source.owner_id}:
            return NotOwner("account", source.id)
    if posting.to_account_id is not None:
        target = accounts.get(posting.to_account_id)
        if target is None:
            return NotFound("account", posting.to_account_id)
    if source is not None and target is not None and source.currency != target.currency:
        return CurrencyMismatch(source.currency, target.currency)
    if source is not None and source.balance_minor < posting.amount_minor:
        return InsufficientFunds(source.id)
    if target is not None and target.balance_minor > MAX_MINOR - posting.amount_minor:
        return BalanceOverflow(target.id)
    return None


def entry_of(account_id: str, transfer: Transfer) -> StatementEntry:
    """Return an entry as the account, one of its two, sees it."""
    takes = transfer.from_account_id == account_id
    side = transfer.source if takes else transfer.target
    assert side is not None  # noqa: S101 - for the type checker: the account is on one of the sides
    return StatementEntry(
        transfer=transfer,
        other_account_id=transfer.to_account_id if takes else transfer.from_account_id,
        amount_minor=-transfer.amount_minor if takes else transfer.amount_minor,
        balance_minor=side.balance_minor,
        version=side.version,
    )


class Ledger(ABC):
    """The half of `backends.protocols.AccountRepository` that moves money and shows what moved."""

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
            capabilities: Those of the backend.
            wait_timeout_seconds: How long to wait for other postings: `db_pool_timeout_seconds`.
            retry_deadline_seconds: How long to retry: `db_command_timeout_seconds`.
            clock: The backend's.
            id_source: The backend's.
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
            # The id is the posting's from here on: a try that is repeated can't post it twice.
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
        """Return what an earlier call with this key did, or an earlier try of this call.

        Raises:
            AlreadyExists: The id is another entry's.
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
        """Raise the reason why it can't be done, and keep it; or return what an earlier try did."""
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
        """Fetch the entries up to the account's version: those that come meanwhile have later ones."""
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
        """Return the account's entries of these versions, both included, in any order."""

    @abstractmethod
    async def _post(self, posting: Posting) -> Transfer:
        """Change the accounts, add the entry and keep the outcome under the key, in one transaction.

        If several of these hold, Taken comes before Refused.

        Raises:
            Taken: The id or the key is in use; nothing was changed.
            Refused: An account does not let it; nothing was changed.
            Conflict: It collided; nothing was changed.
            ConnectionLost: It may have been done.
        """

    @abstractmethod
    async def _find_transfer(self, id: str) -> Transfer | None:
        """Return the entry with this id."""

    @abstractmethod
    async def _find_accounts(self, ids: Sequence[str]) -> list[Account]:
        """Return those of the accounts that exist."""

    @abstractmethod
    async def _keep(self, outcome: Outcome, owner_id: str, idempotency: Idempotency) -> None:
        """Keep a refusal under the key, in a step of its own: nothing else is changed by it.

        Raises:
            Taken: There is an outcome under this key.
        """

    @abstractmethod
    async def _find_outcome(self, owner_id: str, idempotency: Idempotency) -> Account | EntryId | None:
        """Return what `read_outcome` makes of the outcome that was kept; None if there is none."""
