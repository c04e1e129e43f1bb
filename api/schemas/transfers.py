"""Schemas of the entries of the ledger."""

from __future__ import annotations

from pydantic import BaseModel, Field

from api.schemas.examples import TRANSFER, with_example
from api.schemas.fields import Amount, Timestamp
from api.schemas.lists import ListQuery
from backends.models import NewEntry, NewTransfer, TransferFilter, TransferSort


class EntryCreate(NewEntry):
    """A deposit or a withdrawal, in minor units of the account's currency (cents)."""

    model_config = with_example({"amount_minor": 20_00, "note": "Cash"})


class TransferCreate(NewTransfer):
    """A transfer between two accounts of one currency, in minor units (cents)."""

    model_config = with_example(
        {name: TRANSFER[name] for name in ("from_account_id", "to_account_id", "amount_minor", "note")}
    )


class TransferPublic(BaseModel):
    """An entry of the ledger. A deposit has no `from_account_id`, a withdrawal no `to_account_id`."""

    model_config = with_example(TRANSFER)

    id: str
    from_account_id: str | None
    to_account_id: str | None
    amount_minor: Amount
    note: str | None
    created_at: Timestamp
    idempotency_key: str | None


class TransfersPublic(BaseModel):
    """A page of the ledger. `count` is the total; null with `count=none`."""

    model_config = with_example({"data": [TRANSFER], "count": 1, "next_cursor": None})

    data: list[TransferPublic]
    count: int | None
    next_cursor: str | None = None


class TransferListQuery(ListQuery):
    """Filters, sort order and page of a list of entries."""

    sort: TransferSort = Field(default="-created_at", description="`-` for descending order.")
    owner_id: str | None = Field(
        default=None,
        description="The owner of either account. Other owners than the caller are for superusers only.",
    )

    @property
    def where(self) -> TransferFilter:
        """The filter for the repository."""
        return TransferFilter.model_construct(**self.model_dump(include=set(TransferFilter.model_fields)))
