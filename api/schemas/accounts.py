"""Schemas of accounts and statements."""

from __future__ import annotations

from pydantic import BaseModel, Field

from api.schemas.examples import ACCOUNT, ENTRY, with_example
from api.schemas.fields import Balance, SignedAmount, Timestamp
from api.schemas.lists import ListQuery
from backends.models import AccountFilter, AccountSort, NewAccount, SearchText


class AccountPublic(BaseModel):
    """An account. The balance is in minor units of the currency (cents)."""

    model_config = with_example(ACCOUNT)

    id: str
    owner_id: str
    name: str
    currency: str
    balance_minor: Balance
    created_at: Timestamp


class AccountsPublic(BaseModel):
    """A page of accounts, which is a snapshot. `count` is the total; null with `count=none`."""

    model_config = with_example({"data": [ACCOUNT], "count": 1, "next_cursor": None})

    data: list[AccountPublic]
    count: int | None
    next_cursor: str | None = None


class AccountCreate(NewAccount):
    """A new account of the caller. It is empty. The currency is an ISO 4217 code."""

    model_config = with_example({"name": ACCOUNT["name"], "currency": ACCOUNT["currency"]})


class StatementEntryPublic(BaseModel):
    """An entry of one account: the amount, negative for money that left, and the balance after it."""

    model_config = with_example(ENTRY)

    transfer_id: str
    other_account_id: str | None
    amount_minor: SignedAmount
    balance_minor: Balance
    note: str | None
    created_at: Timestamp


class StatementPublic(BaseModel):
    """An account and a snapshot of all its entries, oldest first."""

    model_config = with_example({"account": ACCOUNT, "count": 1, "data": [ENTRY]})

    account: AccountPublic
    count: int
    data: list[StatementEntryPublic]


class AccountListQuery(ListQuery):
    """Filters, sort order and page of a list of accounts."""

    sort: AccountSort = Field(default="-created_at", description="`-` for descending order.")
    currency: SearchText | None = None
    owner_id: str | None = Field(
        default=None, description="The owner. Other owners than the caller are for superusers only."
    )

    @property
    def where(self) -> AccountFilter:
        """The filter for the repository."""
        return AccountFilter.model_construct(**self.model_dump(include=set(AccountFilter.model_fields)))
