"""Postings: the rules that decide whether an entry is created, and which error refuses it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from backends.errors import (
    BackendError,
    BalanceOverflow,
    CurrencyMismatch,
    InsufficientFunds,
    NotFound,
    NotOwner,
)
from backends.models import MAX_MINOR, Account, Idempotency, Side, StatementEntry, Transfer


@dataclass(frozen=True, slots=True, kw_only=True)
class Posting:
    """An entry to be created; see `backends.models.Transfer`.

    Attributes:
        owner_id: The required owner of the source account; None allows every owner.
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
        """The accounts in the order in which every posting locks them, which prevents deadlocks."""
        return sorted(id_ for id_ in (self.from_account_id, self.to_account_id) if id_ is not None)

    @property
    def key(self) -> str | None:
        """The caller's idempotency key."""
        return None if self.idempotency is None else self.idempotency.key

    def entry(self, source: Side | None, target: Side | None) -> Transfer:
        """Return the entry of this posting, with the new state of its accounts."""
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
        """Return whether an earlier attempt of this posting created the entry."""
        accounts = (transfer.from_account_id, transfer.to_account_id)
        return accounts == (self.from_account_id, self.to_account_id) and transfer == self.entry(
            transfer.source, transfer.target
        )


def refusal_of(posting: Posting, accounts: Mapping[str, Account]) -> BackendError | None:  # noqa: PLR0911 - one a reason
    """Return the reason why a posting is refused in the current state of the accounts, or None.

    Every backend uses this function, so the order of the reasons is the same everywhere.
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
    """Return an entry from the point of view of one of its accounts."""
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
