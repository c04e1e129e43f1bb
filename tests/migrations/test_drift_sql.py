"""`check` on SQL: whatever somebody changed by hand is seen, and told in a sentence."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import sqlalchemy as sa
from alembic.migration import MigrationContext
from alembic.operations import Operations
from sqlalchemy.engine import Connection

from config import Settings
from migrations import open_migrator
from tests.backends.raw import sql_connection
from tests.provision import Provision

Change = Callable[[Operations], None]


async def alter(settings: Settings, change: Change) -> None:
    """Change the schema as a person with the database's own tools would."""

    def run(connection: Connection) -> None:
        change(Operations(MigrationContext.configure(connection)))

    async with sql_connection(settings) as connection:
        await connection.run_sync(run)


def drop_index(op: Operations) -> None:
    """Drop the index of a superuser's list."""
    op.drop_index("ix_items_created_at_id", "items")


def reorder_index(op: Operations) -> None:
    """Put an index of the same name on the columns the other way round."""
    drop_index(op)
    op.create_index("ix_items_created_at_id", "items", ["id", "created_at"])


def add_index(op: Operations) -> None:
    """Add an index that nobody declared."""
    op.create_index("ix_items_title", "items", ["title"])


def drop_unique(op: Operations) -> None:
    """Let two users have one address."""
    with op.batch_alter_table("users") as batch:
        batch.drop_constraint("uq_users_email", type_="unique")


def shorten_column(op: Operations) -> None:
    """Leave less room for a title."""
    with op.batch_alter_table("items") as batch:
        batch.alter_column("title", existing_type=sa.String(255), type_=sa.String(100))


def change_type(op: Operations) -> None:
    """Make text of a truth value."""
    with op.batch_alter_table("users") as batch:
        batch.alter_column("is_active", existing_type=sa.Boolean(), type_=sa.String(5))


def allow_null(op: Operations) -> None:
    """Let a title be missing."""
    with op.batch_alter_table("items") as batch:
        batch.alter_column("title", existing_type=sa.String(255), nullable=True)


def forbid_null(op: Operations) -> None:
    """Demand a description."""
    with op.batch_alter_table("items") as batch:
        batch.alter_column("description", existing_type=sa.String(255), nullable=False)


def drop_column(op: Operations) -> None:
    """Lose a column."""
    with op.batch_alter_table("users") as batch:
        batch.drop_column("full_name")


def add_column(op: Operations) -> None:
    """Add a column that nobody declared."""
    op.add_column("items", sa.Column("price", sa.Integer()))


def drop_foreign_key(op: Operations) -> None:
    """Let an item have no owner."""
    with op.batch_alter_table("items") as batch:
        batch.drop_constraint("fk_items_owner_id_users", type_="foreignkey")


def drop_cascade(op: Operations) -> None:
    """Let a deletion of a user fail as long as it has items."""
    with op.batch_alter_table("items") as batch:
        batch.drop_constraint("fk_items_owner_id_users", type_="foreignkey")
        batch.create_foreign_key("fk_items_owner_id_users", "users", ["owner_id"], ["id"])


def drop_table(op: Operations) -> None:
    """Lose the items."""
    op.drop_table("items")


def add_table(op: Operations) -> None:
    """Keep something else in the same database."""
    op.create_table("theirs", sa.Column("id", sa.Integer()))


@pytest.mark.parametrize(
    ("change", "name"),
    [
        (drop_index, "ix_items_created_at_id"),
        (reorder_index, "ix_items_created_at_id"),
        (add_index, "ix_items_title"),
        (drop_unique, "email"),
        (shorten_column, "title"),
        (change_type, "is_active"),
        (allow_null, "title"),
        (forbid_null, "description"),
        (drop_column, "full_name"),
        (add_column, "price"),
        (drop_foreign_key, "owner_id"),
        (drop_cascade, "owner_id"),
        (drop_table, "items"),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
async def test_check_sees_a_change_by_hand(change: Change, name: str, sql: Provision) -> None:
    """Each difference is a sentence with the name of what differs."""
    async with sql.empty_database() as settings:
        migrator = open_migrator(settings)
        await migrator.upgrade()
        await alter(settings, change)
        differences = await migrator.check()
        assert differences
        for difference in differences:
            assert difference.startswith("the database differs from the models: ")
        assert name in " ".join(differences)


@pytest.mark.parametrize("collation", ["POSIX", "ucs_basic", None])
async def test_check_sees_another_collation(collation: str | None, sql: Provision) -> None:
    """On PostgreSQL it decides the order and equality of text; SQLite's columns have the one."""
    async with sql.empty_database() as settings:
        if settings.db_backend == "sqlite":
            return
        migrator = open_migrator(settings)
        await migrator.upgrade()
        await alter(
            settings,
            lambda op: op.alter_column("users", "email", type_=sa.String(255, collation=collation)),
        )
        (difference,) = await migrator.check()
        assert "email" in difference


async def test_check_ignores_what_others_keep_in_the_database(sql: Provision) -> None:
    """A table that is not EitherDB's is none of its business."""
    async with sql.empty_database() as settings:
        migrator = open_migrator(settings)
        await migrator.upgrade()
        await alter(settings, add_table)
        assert await migrator.check() == []
