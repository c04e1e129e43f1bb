"""The mapped classes of EitherDB's own tables.

The values are those of the repositories: ids are 24 hex digits, times are aware and in UTC, and amounts are
in minor units.
"""

from __future__ import annotations

from datetime import datetime

from sqlalchemy.orm import Mapped, relationship

from backends.sql.mapped.base import Base
from backends.sql.schema import ACCOUNTS, ITEMS, TRANSFERS, USERS
from backends.sql.tables import SPEC


class User(Base):
    """A user. Password hashes and session versions are not mapped, so that no report contains them."""

    __table__ = USERS
    __mapper_args__ = {"exclude_properties": ["hashed_password", "session_version"]}

    id: Mapped[str]
    email: Mapped[str]
    full_name: Mapped[str | None]
    is_active: Mapped[bool]
    is_superuser: Mapped[bool]
    created_at: Mapped[datetime]
    version: Mapped[int]

    items: Mapped[list[Item]] = relationship(back_populates="owner")
    accounts: Mapped[list[Account]] = relationship(back_populates="owner")
    ordered_transfers: Mapped[list[Transfer]] = relationship(
        primaryjoin=lambda: User.id == TRANSFERS.c.ordered_by,
        foreign_keys=TRANSFERS.c.ordered_by,
        back_populates="ordered_by_user",
    )


class Item(Base):
    """An item."""

    __table__ = ITEMS
    __mapper_args__ = {"exclude_properties": [f"{name}_folded" for name in ITEMS.info[SPEC].searched]}

    id: Mapped[str]
    title: Mapped[str]
    description: Mapped[str | None]
    owner_id: Mapped[str]
    created_at: Mapped[datetime]
    version: Mapped[int]

    owner: Mapped[User] = relationship(back_populates="items")


class Account(Base):
    """Money of one user in one currency; `balance_minor` is in minor units (cents)."""

    __table__ = ACCOUNTS

    id: Mapped[str]
    owner_id: Mapped[str]
    name: Mapped[str]
    currency: Mapped[str]
    balance_minor: Mapped[int]
    created_at: Mapped[datetime]
    version: Mapped[int]

    owner: Mapped[User] = relationship(back_populates="accounts")
    transfers_from: Mapped[list[Transfer]] = relationship(
        primaryjoin=lambda: Account.id == TRANSFERS.c.from_account_id,
        foreign_keys=TRANSFERS.c.from_account_id,
        back_populates="from_account",
    )
    transfers_to: Mapped[list[Transfer]] = relationship(
        primaryjoin=lambda: Account.id == TRANSFERS.c.to_account_id,
        foreign_keys=TRANSFERS.c.to_account_id,
        back_populates="to_account",
    )


class Transfer(Base):
    """An entry of the ledger: a transfer, a deposit (no `from_…`) or a withdrawal (no `to_…`).

    Accounts and users may have been deleted since. Then the related object is None, and its id remains.
    """

    __table__ = TRANSFERS

    id: Mapped[str]
    ordered_by: Mapped[str]
    idempotency_key: Mapped[str | None]
    amount_minor: Mapped[int]
    note: Mapped[str | None]
    created_at: Mapped[datetime]
    from_account_id: Mapped[str | None]
    from_owner_id: Mapped[str | None]
    from_balance_minor: Mapped[int | None]
    from_version: Mapped[int | None]
    to_account_id: Mapped[str | None]
    to_owner_id: Mapped[str | None]
    to_balance_minor: Mapped[int | None]
    to_version: Mapped[int | None]

    ordered_by_user: Mapped[User | None] = relationship(
        primaryjoin=lambda: User.id == TRANSFERS.c.ordered_by,
        foreign_keys=TRANSFERS.c.ordered_by,
        back_populates="ordered_transfers",
    )
    from_account: Mapped[Account | None] = relationship(
        primaryjoin=lambda: Account.id == TRANSFERS.c.from_account_id,
        foreign_keys=TRANSFERS.c.from_account_id,
        back_populates="transfers_from",
    )
    to_account: Mapped[Account | None] = relationship(
        primaryjoin=lambda: Account.id == TRANSFERS.c.to_account_id,
        foreign_keys=TRANSFERS.c.to_account_id,
        back_populates="transfers_to",
    )


OWN: dict[str, type[Base]] = {
    USERS.name: User,
    ITEMS.name: Item,
    ACCOUNTS.name: Account,
    TRANSFERS.name: Transfer,
}
"""The mapped classes of EitherDB's own tables, by the names of the tables."""
