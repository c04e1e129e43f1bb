"""Accounts."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from backends.models.input_models import InputModel
from backends.models.money import Currency
from backends.models.records import Record
from backends.models.text import SearchText, Title
from backends.models.times import TimeAfter, TimeBefore


@dataclass(frozen=True, slots=True, kw_only=True)
class Account(Record):
    """Money of one user in one currency.

    Attributes:
        id: 24 lower-case hex digits of an ObjectId.
        owner_id: The `id` of a user that exists.
        currency: A code of ISO 4217.
        balance_minor: In the currency's minor units (cents), 0 to `MAX_MINOR`.
        created_at: Aware, UTC, whole milliseconds.
        version: 1 when the account is new, one more with every entry: `version - 1` entries made it.
    """

    id: str
    owner_id: str
    name: str
    currency: str
    balance_minor: int
    created_at: datetime
    version: int


class NewAccount(InputModel):
    """What `AccountRepository.add` needs besides the owner."""

    name: Title
    currency: Currency


AccountSort = Literal["created_at", "-created_at", "name", "-name"]


class AccountFilter(InputModel):
    """Which accounts a list holds: those that fit every field that is not None."""

    currency: SearchText | None = None
    created_after: TimeAfter | None = None
    created_before: TimeBefore | None = None
