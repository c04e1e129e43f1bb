"""The tables, and a function for rows that all repositories use."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Protocol

from backends.models import Account, Transfer, User
from backends.models.resources import Resource, ResourceSpec
from eitherdb_lmdb.tables import Table

USERS = Table[User](
    name="users",
    entity="user",
    record=User,
    sorts=("created_at", "email"),
    unique=(("email",),),
)
ACCOUNTS = Table[Account](
    name="accounts",
    entity="account",
    record=Account,
    sorts=("created_at", "name"),
    owners=lambda account: [account.owner_id],
)
TRANSFERS = Table[Transfer](
    name="transfers",
    entity="transfer",
    record=Transfer,
    owners=lambda entry: {side.owner_id for side in (entry.source, entry.target) if side},
)


def table_of(cls: type[Resource]) -> Table[Any]:
    """Return the table of a resource."""
    return table_with(cls.__resource__, cls)


def table_with(spec: ResourceSpec, record: type[Any]) -> Table[Any]:
    """Return the table of a resource, whose rows have this class."""
    return Table(
        name=spec.name,
        entity=spec.entity,
        record=record,
        sorts=spec.sorts,
        owners=(lambda row: [row.owner_id]) if spec.owned else (lambda _: ()),
        references=tuple(field.name for field in spec.references),
        unique=spec.unique,
        spec=spec,
    )


class Times(Protocol):
    """The time bounds that every filter has."""

    @property
    def created_after(self) -> datetime | None:
        """Exclusive lower bound."""
        ...

    @property
    def created_before(self) -> datetime | None:
        """Exclusive upper bound."""
        ...


def fits_times(created_at: datetime, where: Times) -> bool:
    """Return whether a time is within the bounds of the filter."""
    return (where.created_after is None or created_at > where.created_after) and (
        where.created_before is None or created_at < where.created_before
    )
