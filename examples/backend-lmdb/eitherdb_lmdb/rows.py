"""The tables, and functions for rows that all repositories use."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from typing import Protocol

from backends.errors import VersionMismatch
from backends.models import Account, Item, Transfer, User
from eitherdb_lmdb.tables import Table, from_json, to_json

USERS = Table[User](
    name="users",
    sorts=("created_at", "email"),
    owners=lambda _: (),
    dump=lambda user: to_json(user.fields()),
    load=lambda text: User.of_fields(from_json(text)),
)
ITEMS = Table[Item](
    name="items",
    sorts=("created_at", "title"),
    owners=lambda item: [item.owner_id],
    dump=lambda item: to_json(item.fields()),
    load=lambda text: Item.of_fields(from_json(text)),
)
ACCOUNTS = Table[Account](
    name="accounts",
    sorts=("created_at", "name"),
    owners=lambda account: [account.owner_id],
    dump=lambda account: to_json(account.fields()),
    load=lambda text: Account.of_fields(from_json(text)),
)
TRANSFERS = Table[Transfer](
    name="transfers",
    sorts=("created_at",),
    owners=lambda entry: {side.owner_id for side in (entry.source, entry.target) if side},
    dump=lambda entry: to_json(entry.fields()),
    load=lambda text: Transfer.of_fields(from_json(text)),
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


def check_version(row: User | Item | Account, versions: Collection[int] | None) -> None:
    """Raise VersionMismatch if versions are given and the row's is not among them."""
    if versions is not None and row.version not in versions:
        if isinstance(row, User):
            raise VersionMismatch("user", row.id)
        raise VersionMismatch("item" if isinstance(row, Item) else "account", row.id)
