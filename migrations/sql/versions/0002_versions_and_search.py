"""versions, sessions, search and counters."""

from __future__ import annotations

from unicodedata import normalize

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

TABLES = ("counters",)

BATCH = 1000


def _text(length: int) -> sa.String:
    return sa.String(length).with_variant(sa.String(length, collation="C"), "postgresql")


def _long_text() -> sa.Text:
    return sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    op.add_column("users", sa.Column("version", sa.BigInteger(), nullable=True))
    op.add_column("users", sa.Column("session_version", sa.BigInteger(), nullable=True))
    op.add_column("items", sa.Column("version", sa.BigInteger(), nullable=True))
    op.add_column("items", sa.Column("title_folded", _long_text(), nullable=True))
    op.add_column("items", sa.Column("description_folded", _long_text(), nullable=True))
    op.execute("UPDATE users SET version = 1, session_version = 0")
    op.execute("UPDATE items SET version = 1")
    _fold_items()
    with op.batch_alter_table("users") as users:
        users.alter_column("version", existing_type=sa.BigInteger(), nullable=False)
        users.alter_column("session_version", existing_type=sa.BigInteger(), nullable=False)
    with op.batch_alter_table("items") as items:
        items.alter_column("version", existing_type=sa.BigInteger(), nullable=False)
        items.alter_column("title_folded", existing_type=_long_text(), nullable=False)
    op.create_index("ix_items_title_id", "items", ["title", "id"])
    op.create_index("ix_items_owner_id_title_id", "items", ["owner_id", "title", "id"])
    op.create_table(
        "counters",
        sa.Column("key", _text(255), nullable=False),
        sa.Column("value", sa.BigInteger(), nullable=False),
        sa.Column("ends_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("key", name="pk_counters"),
    )
    op.create_index("ix_counters_ends_at", "counters", ["ends_at"])


def downgrade() -> None:
    op.drop_table("counters")
    op.drop_index("ix_items_owner_id_title_id", "items")
    op.drop_index("ix_items_title_id", "items")
    with op.batch_alter_table("items") as items:
        items.drop_column("description_folded")
        items.drop_column("title_folded")
        items.drop_column("version")
    with op.batch_alter_table("users") as users:
        users.drop_column("session_version")
        users.drop_column("version")


def _fold_items() -> None:
    """Add the case-folded texts to the existing items, with this revision's own folding."""
    names = ("id", "title", "description", "title_folded", "description_folded")
    items = sa.table("items", *(sa.column(name) for name in names))
    batch = sa.select(items.c.id, items.c.title, items.c.description).order_by(items.c.id).limit(BATCH)
    change = (
        sa.update(items)
        .where(items.c.id == sa.bindparam("of_id"))
        # SQLAlchemy reserves a column's name as the name of its own bound parameter.
        .values(title_folded=sa.bindparam("of_title"), description_folded=sa.bindparam("of_description"))
    )
    connection, rest = op.get_bind(), batch
    while rows := connection.execute(rest).all():
        connection.execute(
            change,
            [
                {"of_id": row.id, "of_title": _fold(row.title), "of_description": _fold(row.description)}
                for row in rows
            ],
        )
        # Continue after the last id: a scan from the start would pass all finished rows for each batch.
        rest = batch.where(items.c.id > rows[-1].id)


def _fold(text: str | None) -> str | None:
    return text and normalize("NFC", normalize("NFC", text).casefold())
