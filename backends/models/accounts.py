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
        currency: An ISO 4217 code.
        balance_minor: In the currency's minor units (cents), 0 to `MAX_MINOR`.
        created_at: Aware, UTC, whole milliseconds.
        version: 1 for a new account. Each entry adds 1, so the account has `version - 1` entries.
    """

    id: str
    owner_id: str
    name: str
    currency: str
    balance_minor: int
    created_at: datetime
    version: int


class NewAccount(InputModel):
    """The input of `AccountRepository.add`, without the owner."""

    name: Title
    currency: Currency


AccountSort = Literal["created_at", "-created_at", "name", "-name"]


class AccountFilter(InputModel):
    """A filter for accounts. An account must match every field that is not None."""

    currency: SearchText | None = None
    created_after: TimeAfter | None = None
    created_before: TimeBefore | None = None
