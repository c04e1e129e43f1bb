"""The tables for PostgreSQL and SQLite. Every change here needs a revision in `migrations/sql`.

The repositories run Core statements, so these are plain tables without mapped classes. Without SQLAlchemy's
ORM, the service starts faster and needs less memory.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    ForeignKey,
    Index,
    MetaData,
    Table,
    UniqueConstraint,
)

from backends.models import MAX_MINOR, Item
from backends.sql.tables import table_of
from backends.sql.types import LONG_TEXT, ObjectIdBytes, UtcDateTime, text_type

if TYPE_CHECKING:
    from sqlalchemy.types import TypeEngine

REVISION = "0004"
"""The revision of `migrations/sql` that creates these tables."""

# Constraint names are fixed, because the translation of errors and downgrades use them.
METADATA = MetaData(
    naming_convention={
        "pk": "pk_%(table_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
    }
)


def _column(
    name: str,
    kind: TypeEngine[Any] | type[TypeEngine[Any]],
    *references: ForeignKey,
    nullable: bool = False,
    primary_key: bool = False,
    unique: bool = False,
) -> Column[Any]:
    """Return a column that is NOT NULL by default."""
    return Column(name, kind, *references, nullable=nullable, primary_key=primary_key, unique=unique)


USERS = Table(
    "users",
    METADATA,
    _column("id", ObjectIdBytes, primary_key=True),
    _column("email", text_type(255), unique=True),
    _column("hashed_password", text_type(255)),
    _column("full_name", text_type(255), nullable=True),
    _column("is_active", Boolean),
    _column("is_superuser", Boolean),
    _column("created_at", UtcDateTime),
    _column("version", BigInteger),
    _column("session_version", BigInteger),
    # Serves the list of all users by time, in both directions; the unique index serves it by email.
    Index(None, "created_at", "id"),
)
"""`backends.models.User`."""

ITEMS = table_of(Item.__resource__, METADATA, {"users": USERS})
"""`backends.models.Item`."""

ACCOUNTS = Table(
    "accounts",
    METADATA,
    _column("id", ObjectIdBytes, primary_key=True),
    # No cascade: an owner with money can't be deleted. `SqlUserRepository.delete` deletes empty accounts.
    _column("owner_id", ObjectIdBytes, ForeignKey("users.id")),
    _column("name", text_type(255)),
    _column("currency", text_type(3)),
    _column("balance_minor", BigInteger),
    _column("created_at", UtcDateTime),
    _column("version", BigInteger),
    CheckConstraint(f"balance_minor BETWEEN 0 AND {MAX_MINOR}", name="balance"),
    Index(None, "created_at", "id"),
    Index(None, "name", "id"),
    Index(None, "owner_id", "created_at", "id"),
    Index(None, "owner_id", "name", "id"),
)
"""`backends.models.Account`."""


def _side(name: str) -> str:
    """Return the condition that the columns of a side are all set or all null."""
    columns = [f"{name}_{part}" for part in ("account_id", "owner_id", "balance_minor", "version")]
    nothing = " AND ".join(f"{column} IS NULL" for column in columns)
    everything = " AND ".join(f"{column} IS NOT NULL" for column in columns)
    return f"({nothing}) OR ({everything} AND {name}_balance_minor BETWEEN 0 AND {MAX_MINOR})"


TRANSFERS = Table(
    "transfers",
    METADATA,
    _column("id", ObjectIdBytes, primary_key=True),
    _column("ordered_by", ObjectIdBytes),
    _column("idempotency_key", text_type(255), nullable=True),
    _column("amount_minor", BigInteger),
    _column("note", text_type(255), nullable=True),
    _column("created_at", UtcDateTime),
    _column("from_account_id", ObjectIdBytes, nullable=True),
    _column("from_owner_id", ObjectIdBytes, nullable=True),
    _column("from_balance_minor", BigInteger, nullable=True),
    _column("from_version", BigInteger, nullable=True),
    _column("to_account_id", ObjectIdBytes, nullable=True),
    _column("to_owner_id", ObjectIdBytes, nullable=True),
    _column("to_balance_minor", BigInteger, nullable=True),
    _column("to_version", BigInteger, nullable=True),
    CheckConstraint(f"amount_minor BETWEEN 1 AND {MAX_MINOR}", name="amount"),
    CheckConstraint(_side("from"), name="from"),
    CheckConstraint(_side("to"), name="to"),
    CheckConstraint("from_account_id IS NOT NULL OR to_account_id IS NOT NULL", name="sides"),
    CheckConstraint("from_account_id <> to_account_id", name="accounts"),
    # Prevents a second payment with one idempotency key.
    UniqueConstraint("ordered_by", "idempotency_key"),
    # Prevent two entries with one version of an account, and serve the statement.
    UniqueConstraint("from_account_id", "from_version"),
    UniqueConstraint("to_account_id", "to_version"),
    # Serve a superuser's list of all entries, and the two halves of an owner's.
    Index(None, "created_at", "id"),
    Index(None, "from_owner_id", "created_at", "id"),
    Index(None, "to_owner_id", "created_at", "id"),
)
"""`backends.models.Transfer`: the ledger. Rows are inserted and never changed.

Accounts and users are not foreign keys: they may be deleted, and the history remains.
"""

IDEMPOTENCY_KEYS = Table(
    "idempotency_keys",
    METADATA,
    _column("owner_id", ObjectIdBytes, primary_key=True),
    _column("key", text_type(255), primary_key=True),
    _column("fingerprint", text_type(64)),
    _column("outcome", LONG_TEXT),
    _column("created_at", UtcDateTime),
)
"""The outcomes of calls with idempotency keys: `backends.idempotency.write_outcome`."""

COUNTERS = Table(
    "counters",
    METADATA,
    _column("key", text_type(255), primary_key=True),
    _column("value", BigInteger),
    _column("ends_at", UtcDateTime),
    # Serves the deletion of expired counters.
    Index(None, "ends_at"),
)
"""The counters of `backends.protocols.CounterRepository`."""
