"""Accounts and their statements on the wire."""

from __future__ import annotations

from pydantic import BaseModel, Field

from api.schemas.examples import ACCOUNT, ENTRY, shown_as
from api.schemas.fields import Balance, SignedAmount, Timestamp
from api.schemas.lists import ListQuery
from backends.models import AccountFilter, AccountSort, NewAccount, SearchText


class AccountPublic(BaseModel):
    """An account; its balance is in minor units of the currency (cents)."""

    model_config = shown_as(ACCOUNT)

    id: str
    owner_id: str
    name: str
    currency: str
    balance_minor: Balance
    created_at: Timestamp


class AccountsPublic(BaseModel):
    """A page of accounts, from one moment; `count` is the total, null with `count=none`."""

    model_config = shown_as({"data": [ACCOUNT], "count": 1, "next_cursor": None})

    data: list[AccountPublic]
    count: int | None
    next_cursor: str | None = None


class AccountCreate(NewAccount):
    """A new account of the caller, without money; the currency is a code of ISO 4217."""

    model_config = shown_as({"name": ACCOUNT["name"], "currency": ACCOUNT["currency"]})


class StatementEntryPublic(BaseModel):
    """An entry as one account sees it: what it added (or took), and the balance after it."""

    model_config = shown_as(ENTRY)

    transfer_id: str
    other_account_id: str | None
    amount_minor: SignedAmount
    balance_minor: Balance
    note: str | None
    created_at: Timestamp


class StatementPublic(BaseModel):
    """An account and its whole history, oldest entry first, all from one moment."""

    model_config = shown_as({"account": ACCOUNT, "count": 1, "data": [ENTRY]})

    account: AccountPublic
    count: int
    data: list[StatementEntryPublic]


class AccountListQuery(ListQuery):
    """Which accounts, in which order, and which part of them."""

    sort: AccountSort = Field(default="-created_at", description="`-` for descending.")
    currency: SearchText | None = None
    owner_id: str | None = Field(default=None, description="Whose accounts; of others for superusers only.")

    @property
    def where(self) -> AccountFilter:
        """The filter for the repository."""
        return AccountFilter.model_construct(**self.model_dump(include=set(AccountFilter.model_fields)))
