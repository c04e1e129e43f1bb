"""The ledger: its entries, and an account's statement."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, Self

from pydantic import model_validator
from pydantic_core import PydanticCustomError

from backends.models.accounts import Account
from backends.models.input_models import InputModel
from backends.models.money import AmountMinor
from backends.models.records import Record
from backends.models.text import Description, IdText
from backends.models.times import TimeAfter, TimeBefore


@dataclass(frozen=True, slots=True, kw_only=True)
class Side:
    """The effect of an entry on one of its accounts.

    Attributes:
        account_id: The account; it may have been deleted since.
        owner_id: The account's owner; the user may have been deleted since.
        balance_minor: The account's balance after the entry.
        version: The account's version after the entry. An account's entries have the versions 2, 3, …
            without a gap.
    """

    account_id: str
    owner_id: str
    balance_minor: int
    version: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Transfer(Record):
    """An immutable entry of the ledger: a transfer, a deposit or a withdrawal.

    Attributes:
        id: 24 lower-case hex digits of an ObjectId.
        ordered_by: The `id` of the user who ordered it.
        source: The side of the source account; None for a deposit.
        target: The side of the target account; None for a withdrawal.
        amount_minor: 1 to `MAX_MINOR`, in the accounts' currency.
        created_at: The time of the order: aware, UTC, whole milliseconds.
        idempotency_key: The caller's key, if any.
    """

    id: str
    ordered_by: str
    source: Side | None
    target: Side | None
    amount_minor: int
    note: str | None
    created_at: datetime
    idempotency_key: str | None

    @property
    def version(self) -> int:
        """Always 1: an entry never changes."""
        return 1

    def fields(self) -> dict[str, Any]:
        """See `Record`. The fields of a side are `from_account_id`, …; None if the entry lacks the side."""
        fields = {name: getattr(self, name) for name in ENTRY_FIELDS}
        for prefix, name in _SIDES:
            side = getattr(self, name)
            fields |= {f"{prefix}_{field}": side and getattr(side, field) for field in SIDE_FIELDS}
        return fields

    @classmethod
    def of_fields(cls, fields: Mapping[str, Any]) -> Self:
        """See `Record`."""
        sides: dict[str, Any] = {
            name: Side(**{field: fields[f"{prefix}_{field}"] for field in SIDE_FIELDS})
            if fields[f"{prefix}_account_id"] is not None
            else None
            for prefix, name in _SIDES
        }
        return cls(**{name: fields[name] for name in ENTRY_FIELDS}, **sides)

    @property
    def parties(self) -> set[str]:
        """The owners of the accounts and the user who ordered the entry."""
        return {self.ordered_by, *(side.owner_id for side in (self.source, self.target) if side)}

    @property
    def from_account_id(self) -> str | None:
        """The source account; None for a deposit."""
        return None if self.source is None else self.source.account_id

    @property
    def to_account_id(self) -> str | None:
        """The target account; None for a withdrawal."""
        return None if self.target is None else self.target.account_id


_SIDES = (("from", "source"), ("to", "target"))
"""The prefix of a side's stored fields, and the name of its attribute."""

ENTRY_FIELDS = ("id", "ordered_by", "idempotency_key", "amount_minor", "note", "created_at")
SIDE_FIELDS = ("account_id", "owner_id", "balance_minor", "version")


class NewEntry(InputModel):
    """The input of `AccountRepository.deposit` and `withdraw`, without the account."""

    amount_minor: AmountMinor
    note: Description | None = None


class NewTransfer(NewEntry):
    """The input of `AccountRepository.transfer`."""

    from_account_id: IdText
    to_account_id: IdText

    @model_validator(mode="after")
    def _refuse_same_account(self) -> Self:
        if self.from_account_id == self.to_account_id:
            raise PydanticCustomError("same_account", "The two accounts should not be the same one")
        return self


TransferSort = Literal["created_at", "-created_at"]


class TransferFilter(InputModel):
    """A filter for entries. An entry must match every field that is not None."""

    created_after: TimeAfter | None = None
    created_before: TimeBefore | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class StatementEntry:
    """An entry from the point of view of one account.

    Attributes:
        transfer: The entry.
        other_account_id: The other account; None for a deposit and a withdrawal.
        amount_minor: The change of the balance; negative for outgoing money.
        balance_minor: The account's balance after the entry.
        version: The account's version after the entry: 2, 3, … without a gap.
    """

    transfer: Transfer
    other_account_id: str | None
    amount_minor: int
    balance_minor: int
    version: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Statement:
    """A snapshot of an account and all its entries.

    Attributes:
        account: The account.
        entries: The `account.version - 1` entries, oldest first, in lists of at most a thousand. Each list
            is fetched on demand. The balance of the last entry is the account's balance.
    """

    account: Account
    entries: AsyncIterator[list[StatementEntry]]
