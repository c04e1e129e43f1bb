"""accounts and the ledger."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

TABLES = ("accounts", "transfers", "idempotency_keys")

MAX_MINOR = 2**63 - 1


def _text(length: int) -> sa.String:
    return sa.String(length).with_variant(sa.String(length, collation="C"), "postgresql")


def _long_text() -> sa.Text:
    return sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def _id(name: str, *, nullable: bool = False) -> sa.Column[bytes]:
    return sa.Column(name, sa.LargeBinary(12), nullable=nullable)


def _number(name: str, *, nullable: bool = False) -> sa.Column[int]:
    return sa.Column(name, sa.BigInteger(), nullable=nullable)


def upgrade() -> None:
    op.create_table(
        "accounts",
        _id("id"),
        _id("owner_id"),
        sa.Column("name", _text(255), nullable=False),
        sa.Column("currency", _text(3), nullable=False),
        _number("balance_minor"),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        _number("version"),
        sa.CheckConstraint(f"balance_minor BETWEEN 0 AND {MAX_MINOR}", name=op.f("ck_accounts_balance")),
        sa.ForeignKeyConstraint(["owner_id"], ["users.id"], name="fk_accounts_owner_id_users"),
        sa.PrimaryKeyConstraint("id", name="pk_accounts"),
    )
    op.create_index("ix_accounts_created_at_id", "accounts", ["created_at", "id"])
    op.create_index("ix_accounts_name_id", "accounts", ["name", "id"])
    op.create_index("ix_accounts_owner_id_created_at_id", "accounts", ["owner_id", "created_at", "id"])
    op.create_index("ix_accounts_owner_id_name_id", "accounts", ["owner_id", "name", "id"])
    _create_transfers()
    op.create_table(
        "idempotency_keys",
        _id("owner_id"),
        sa.Column("key", _text(255), nullable=False),
        sa.Column("fingerprint", _text(64), nullable=False),
        sa.Column("outcome", _long_text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("owner_id", "key", name="pk_idempotency_keys"),
    )


def downgrade() -> None:
    op.drop_table("idempotency_keys")
    op.drop_table("transfers")
    op.drop_table("accounts")


def _create_transfers() -> None:
    op.create_table(
        "transfers",
        _id("id"),
        _id("ordered_by"),
        sa.Column("idempotency_key", _text(255), nullable=True),
        _number("amount_minor"),
        sa.Column("note", _text(255), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        *(
            column
            for side in ("from", "to")
            for column in (
                _id(f"{side}_account_id", nullable=True),
                _id(f"{side}_owner_id", nullable=True),
                _number(f"{side}_balance_minor", nullable=True),
                _number(f"{side}_version", nullable=True),
            )
        ),
        sa.CheckConstraint(f"amount_minor BETWEEN 1 AND {MAX_MINOR}", name=op.f("ck_transfers_amount")),
        sa.CheckConstraint(_side("from"), name=op.f("ck_transfers_from")),
        sa.CheckConstraint(_side("to"), name=op.f("ck_transfers_to")),
        sa.CheckConstraint(
            "from_account_id IS NOT NULL OR to_account_id IS NOT NULL", name=op.f("ck_transfers_sides")
        ),
        sa.CheckConstraint("from_account_id <> to_account_id", name=op.f("ck_transfers_accounts")),
        sa.PrimaryKeyConstraint("id", name="pk_transfers"),
        sa.UniqueConstraint(
            "ordered_by", "idempotency_key", name="uq_transfers_ordered_by_idempotency_key"
        ),
        sa.UniqueConstraint(
            "from_account_id", "from_version", name="uq_transfers_from_account_id_from_version"
        ),
        sa.UniqueConstraint("to_account_id", "to_version", name="uq_transfers_to_account_id_to_version"),
    )
    op.create_index("ix_transfers_created_at_id", "transfers", ["created_at", "id"])
    for side in ("from", "to"):
        columns = [f"{side}_owner_id", "created_at", "id"]
        op.create_index(f"ix_transfers_{'_'.join(columns)}", "transfers", columns)


def _side(name: str) -> str:
    columns = [f"{name}_{part}" for part in ("account_id", "owner_id", "balance_minor", "version")]
    nothing = " AND ".join(f"{column} IS NULL" for column in columns)
    everything = " AND ".join(f"{column} IS NOT NULL" for column in columns)
    return f"({nothing}) OR ({everything} AND {name}_balance_minor >= 0)"
