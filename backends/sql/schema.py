"""The tables, for PostgreSQL and SQLite alike. Every change here needs a revision in `migrations/sql`.

The classes are declarative models, so that Alembic and readers see one definition with its relationship;
the repositories run Core statements on their tables and never load an entity.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, cast

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    DateTime,
    ForeignKey,
    Index,
    LargeBinary,
    MetaData,
    String,
    Text,
    UniqueConstraint,
)
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship
from sqlalchemy.types import TypeDecorator

from backends.ids import is_id
from backends.models import MAX_MINOR

if TYPE_CHECKING:
    from sqlalchemy import Table
    from sqlalchemy.engine import Dialect

REVISION = "0003"
"""The revision of `migrations/sql` that these tables are the result of."""

ID_LENGTH_BYTES = 12


class ObjectIdBytes(TypeDecorator[str]):
    """An id: 24 hex digits in Python, 12 raw bytes in the database (`BYTEA`, `BLOB`).

    Bytes sort like the hex digits and like MongoDB's ObjectId. Text that is no id is bound as no bytes
    at all, which no row has: a malformed id is by itself an unknown one.
    """

    impl = LargeBinary(ID_LENGTH_BYTES)
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Dialect) -> bytes | None:
        """Hex digits to bytes."""
        if value is None:
            return None
        return bytes.fromhex(value) if is_id(value) else b""

    def process_result_value(self, value: bytes | None, dialect: Dialect) -> str | None:
        """Bytes to hex digits."""
        return None if value is None else value.hex()


class UtcDateTime(TypeDecorator[datetime]):
    """An aware UTC time: `TIMESTAMPTZ` in PostgreSQL, naive ISO text in SQLite, aware again when read."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """SQLite's text has no place for an offset, so it is UTC by this rule."""
        if value is None or dialect.name != "sqlite":
            return value
        return value.astimezone(UTC).replace(tzinfo=None)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Attach UTC where the database gave none; asyncpg gives aware UTC already."""
        return value.replace(tzinfo=UTC) if value is not None and value.tzinfo is None else value


def _text(length: int) -> String:
    """Text that compares by code point everywhere: PostgreSQL would use the locale, SQLite does not."""
    return String(length).with_variant(String(length, collation="C"), "postgresql")


_TEXT = Text().with_variant(Text(collation="C"), "postgresql")


class Base(DeclarativeBase):
    """Constraint names are fixed here: errors are told apart by them, and a downgrade can name them."""

    metadata = MetaData(
        naming_convention={
            "pk": "pk_%(table_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
        }
    )


class UserRow(Base):
    """`backends.models.User`."""

    __tablename__ = "users"

    id: Mapped[str] = mapped_column(ObjectIdBytes, primary_key=True)
    email: Mapped[str] = mapped_column(_text(255), unique=True)
    hashed_password: Mapped[str] = mapped_column(_text(255))
    full_name: Mapped[str | None] = mapped_column(_text(255))
    is_active: Mapped[bool]
    is_superuser: Mapped[bool]
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    version: Mapped[int] = mapped_column(BigInteger)
    session_version: Mapped[int] = mapped_column(BigInteger)

    items: Mapped[list[ItemRow]] = relationship(back_populates="owner", passive_deletes=True)

    # Serves the list of all users by time, either way round; the unique index serves it by address.
    __table_args__ = (Index(None, "created_at", "id"),)


class ItemRow(Base):
    """`backends.models.Item`."""

    __tablename__ = "items"

    id: Mapped[str] = mapped_column(ObjectIdBytes, primary_key=True)
    title: Mapped[str] = mapped_column(_text(255))
    description: Mapped[str | None] = mapped_column(_text(255))
    owner_id: Mapped[str] = mapped_column(ObjectIdBytes, ForeignKey("users.id", ondelete="CASCADE"))
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    version: Mapped[int] = mapped_column(BigInteger)
    # `models.fold_case` of the two texts, which may be longer than they are.
    title_folded: Mapped[str] = mapped_column(_TEXT)
    description_folded: Mapped[str | None] = mapped_column(_TEXT)

    owner: Mapped[UserRow] = relationship(back_populates="items")

    __table_args__ = (
        # Serve a superuser's list of all items, by time and by title, either way round.
        Index(None, "created_at", "id"),
        Index(None, "title", "id"),
        # Serve an owner's list and its count, and find what a deleted owner takes along.
        Index(None, "owner_id", "created_at", "id"),
        Index(None, "owner_id", "title", "id"),
    )


class AccountRow(Base):
    """`backends.models.Account`."""

    __tablename__ = "accounts"

    id: Mapped[str] = mapped_column(ObjectIdBytes, primary_key=True)
    # No cascade: an owner with money stays. `SqlUserRepository.delete` takes the empty accounts along.
    owner_id: Mapped[str] = mapped_column(ObjectIdBytes, ForeignKey("users.id"))
    name: Mapped[str] = mapped_column(_text(255))
    currency: Mapped[str] = mapped_column(_text(3))
    balance_minor: Mapped[int] = mapped_column(BigInteger)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    version: Mapped[int] = mapped_column(BigInteger)

    __table_args__ = (
        # SQLite makes a float of what no longer fits 64 bits: that is above the bound, too.
        CheckConstraint(f"balance_minor BETWEEN 0 AND {MAX_MINOR}", name="balance"),
        Index(None, "created_at", "id"),
        Index(None, "name", "id"),
        Index(None, "owner_id", "created_at", "id"),
        Index(None, "owner_id", "name", "id"),
    )


def _side(name: str) -> str:
    """Return the condition that a side of a transfer is there as a whole, or not at all."""
    columns = [f"{name}_{part}" for part in ("account_id", "owner_id", "balance_minor", "version")]
    nothing = " AND ".join(f"{column} IS NULL" for column in columns)
    everything = " AND ".join(f"{column} IS NOT NULL" for column in columns)
    return f"({nothing}) OR ({everything} AND {name}_balance_minor >= 0)"


class TransferRow(Base):
    """`backends.models.Transfer`: the ledger. Rows are added and never changed.

    Accounts and users are no foreign keys: they may go, and the history stays.
    """

    __tablename__ = "transfers"

    id: Mapped[str] = mapped_column(ObjectIdBytes, primary_key=True)
    ordered_by: Mapped[str] = mapped_column(ObjectIdBytes)
    idempotency_key: Mapped[str | None] = mapped_column(_text(255))
    amount_minor: Mapped[int] = mapped_column(BigInteger)
    note: Mapped[str | None] = mapped_column(_text(255))
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    from_account_id: Mapped[str | None] = mapped_column(ObjectIdBytes)
    from_owner_id: Mapped[str | None] = mapped_column(ObjectIdBytes)
    from_balance_minor: Mapped[int | None] = mapped_column(BigInteger)
    from_version: Mapped[int | None] = mapped_column(BigInteger)
    to_account_id: Mapped[str | None] = mapped_column(ObjectIdBytes)
    to_owner_id: Mapped[str | None] = mapped_column(ObjectIdBytes)
    to_balance_minor: Mapped[int | None] = mapped_column(BigInteger)
    to_version: Mapped[int | None] = mapped_column(BigInteger)

    __table_args__ = (
        CheckConstraint(f"amount_minor BETWEEN 1 AND {MAX_MINOR}", name="amount"),
        CheckConstraint(_side("from"), name="from"),
        CheckConstraint(_side("to"), name="to"),
        CheckConstraint("from_account_id IS NOT NULL OR to_account_id IS NOT NULL", name="sides"),
        CheckConstraint("from_account_id <> to_account_id", name="accounts"),
        # Forbids a second payment.
        UniqueConstraint("ordered_by", "idempotency_key"),
        # Forbid that two entries begin from one balance, and serve the statement.
        UniqueConstraint("from_account_id", "from_version"),
        UniqueConstraint("to_account_id", "to_version"),
        # Serve a superuser's list of all entries, and the two halves of an owner's.
        Index(None, "created_at", "id"),
        Index(None, "from_owner_id", "created_at", "id"),
        Index(None, "to_owner_id", "created_at", "id"),
    )


class IdempotencyKeyRow(Base):
    """What became of a call that had an idempotency key: `backends.ledger.write_outcome`."""

    __tablename__ = "idempotency_keys"

    owner_id: Mapped[str] = mapped_column(ObjectIdBytes, primary_key=True)
    key: Mapped[str] = mapped_column(_text(255), primary_key=True)
    fingerprint: Mapped[str] = mapped_column(_text(64))
    outcome: Mapped[str] = mapped_column(_TEXT)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)


class CounterRow(Base):
    """A counter of `backends.protocols.CounterRepository`."""

    __tablename__ = "counters"

    key: Mapped[str] = mapped_column(_text(255), primary_key=True)
    value: Mapped[int] = mapped_column(BigInteger)
    ends_at: Mapped[datetime] = mapped_column(UtcDateTime)

    # Finds the ones that ended.
    __table_args__ = (Index(None, "ends_at"),)


USERS = cast("Table", UserRow.__table__)
ITEMS = cast("Table", ItemRow.__table__)
ACCOUNTS = cast("Table", AccountRow.__table__)
TRANSFERS = cast("Table", TransferRow.__table__)
IDEMPOTENCY_KEYS = cast("Table", IdempotencyKeyRow.__table__)
COUNTERS = cast("Table", CounterRow.__table__)
