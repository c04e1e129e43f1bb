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
    """What an entry did to one of its accounts.

    Attributes:
        account_id: The account, which may have been deleted since.
        owner_id: Its owner, who may have been deleted since.
        balance_minor: The account's balance after the entry.
        version: The account's version after the entry: its entries have the versions 2, 3, … without a gap.
    """

    account_id: str
    owner_id: str
    balance_minor: int
    version: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Transfer(Record):
    """An entry of the ledger, which is never changed: from one account to another, or in, or out.

    Attributes:
        id: 24 lower-case hex digits of an ObjectId.
        ordered_by: The `id` of the user who ordered it.
        source: Where the money came from; None for a deposit.
        target: Where it went; None for a withdrawal.
        amount_minor: 1 to `MAX_MINOR`, in the accounts' currency.
        created_at: When it was ordered: aware, UTC, whole milliseconds.
        idempotency_key: The caller's, if one was given.
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
        """See `Record`; a side's are `from_account_id` and so on, None for a side that it lacks."""
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
        """The users whom it concerns: the owners of its accounts, and who ordered it."""
        return {self.ordered_by, *(side.owner_id for side in (self.source, self.target) if side)}

    @property
    def from_account_id(self) -> str | None:
        """The account that the money came from; None for a deposit."""
        return None if self.source is None else self.source.account_id

    @property
    def to_account_id(self) -> str | None:
        """The account that it went to; None for a withdrawal."""
        return None if self.target is None else self.target.account_id


_SIDES = (("from", "source"), ("to", "target"))
"""How the fields of an entry's sides begin where it is stored, and what they are called here."""

ENTRY_FIELDS = ("id", "ordered_by", "idempotency_key", "amount_minor", "note", "created_at")
SIDE_FIELDS = ("account_id", "owner_id", "balance_minor", "version")


class NewEntry(InputModel):
    """What `AccountRepository.deposit` and `withdraw` need besides the account."""

    amount_minor: AmountMinor
    note: Description | None = None


class NewTransfer(NewEntry):
    """What `AccountRepository.transfer` needs."""

    from_account_id: IdText
    to_account_id: IdText

    @model_validator(mode="after")
    def _refuse_same_account(self) -> Self:
        if self.from_account_id == self.to_account_id:
            raise PydanticCustomError("same_account", "The two accounts should not be the same one")
        return self


TransferSort = Literal["created_at", "-created_at"]


class TransferFilter(InputModel):
    """Which entries a list holds: those that fit every field that is not None."""

    created_after: TimeAfter | None = None
    created_before: TimeBefore | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class StatementEntry:
    """An entry as one account sees it.

    Attributes:
        transfer: The entry.
        other_account_id: The account on the other side; None for a deposit and a withdrawal.
        amount_minor: What it added to the account; negative for what it took.
        balance_minor: The account's balance after it.
        version: The account's version after it: 2, 3, … without a gap.
    """

    transfer: Transfer
    other_account_id: str | None
    amount_minor: int
    balance_minor: int
    version: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Statement:
    """An account's history, all of it from one moment.

    Attributes:
        account: The account at that moment.
        entries: Its `account.version - 1` entries, oldest first, in lists of at most a thousand that are
            fetched as they are asked for; the last one's balance is the account's.
    """

    account: Account
    entries: AsyncIterator[list[StatementEntry]]
