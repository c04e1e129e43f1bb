"""`check` on SQL reports each manual change of the schema in one sentence."""

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
    """Change the schema manually, without a revision."""

    def run(connection: Connection) -> None:
        change(Operations(MigrationContext.configure(connection)))

    async with sql_connection(settings) as connection:
        await connection.run_sync(run)


def drop_index(op: Operations) -> None:
    """Drop the index of a superuser's list."""
    op.drop_index("ix_items_created_at_id", "items")


def reorder_index(op: Operations) -> None:
    """Recreate an index with its columns in reverse order."""
    drop_index(op)
    op.create_index("ix_items_created_at_id", "items", ["id", "created_at"])


def add_index(op: Operations) -> None:
    """Add an undeclared index."""
    op.create_index("ix_items_title", "items", ["title"])


def drop_unique(op: Operations) -> None:
    """Drop the unique constraint on emails."""
    with op.batch_alter_table("users") as batch:
        batch.drop_constraint("uq_users_email", type_="unique")


def shorten_column(op: Operations) -> None:
    """Shorten the column of the title."""
    with op.batch_alter_table("items") as batch:
        batch.alter_column("title", existing_type=sa.String(255), type_=sa.String(100))


def change_type(op: Operations) -> None:
    """Change a boolean column to text."""
    with op.batch_alter_table("users") as batch:
        batch.alter_column("is_active", existing_type=sa.Boolean(), type_=sa.String(5))


def allow_null(op: Operations) -> None:
    """Make the title nullable."""
    with op.batch_alter_table("items") as batch:
        batch.alter_column("title", existing_type=sa.String(255), nullable=True)


def forbid_null(op: Operations) -> None:
    """Make the description not nullable."""
    with op.batch_alter_table("items") as batch:
        batch.alter_column("description", existing_type=sa.String(255), nullable=False)


def drop_column(op: Operations) -> None:
    """Drop a column."""
    with op.batch_alter_table("users") as batch:
        batch.drop_column("full_name")


def add_column(op: Operations) -> None:
    """Add an undeclared column."""
    op.add_column("items", sa.Column("price", sa.Integer()))


def drop_foreign_key(op: Operations) -> None:
    """Drop the foreign key of an item's owner."""
    with op.batch_alter_table("items") as batch:
        batch.drop_constraint("fk_items_owner_id_users", type_="foreignkey")


def drop_cascade(op: Operations) -> None:
    """Recreate the foreign key without ON DELETE CASCADE."""
    with op.batch_alter_table("items") as batch:
        batch.drop_constraint("fk_items_owner_id_users", type_="foreignkey")
        batch.create_foreign_key("fk_items_owner_id_users", "users", ["owner_id"], ["id"])


def drop_table(op: Operations) -> None:
    """Drop the table of items."""
    op.drop_table("items")


def add_table(op: Operations) -> None:
    """Add another application's table."""
    op.create_table("other_app", sa.Column("id", sa.Integer()))


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
    """Each difference is one sentence that names the table, column or index."""
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
    """A changed collation is reported: it decides the order of text."""
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
    """Another application's table is not reported."""
    async with sql.empty_database() as settings:
        migrator = open_migrator(settings)
        await migrator.upgrade()
        await alter(settings, add_table)
        assert await migrator.check() == []
