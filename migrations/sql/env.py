"""Alembic's environment: uses the connection of `migrations.sql.migrator`, which holds the lock."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import sqlalchemy as sa
from alembic import context

from backends.sql.schema import METADATA
from backends.sql.types import ObjectIdBytes, UtcDateTime
from migrations.sql.types import compare_type

if TYPE_CHECKING:
    from alembic.autogenerate.api import AutogenContext


def include_name(name: str | None, kind: str, _parents: object) -> bool:
    """Include only EitherDB's tables: the database may contain others."""
    return kind != "table" or name in METADATA.tables


def render_item(kind: str, item: Any, _autogen: AutogenContext) -> str | Literal[False]:
    """Render plain types, so that revisions don't change with the code's own types."""
    if kind == "type" and isinstance(item, ObjectIdBytes):
        return "sa.LargeBinary(length=12)"
    if kind == "type" and isinstance(item, UtcDateTime):
        return "sa.DateTime(timezone=True)"
    return False


connection = context.config.attributes["connection"]
on_postgres = connection.dialect.name == "postgresql"

context.configure(
    connection=connection,
    # Without a schema, Alembic would use another application's table further on in the search path.
    version_table_schema=connection.scalar(sa.func.current_schema()) if on_postgres else None,
    target_metadata=METADATA,
    include_name=include_name,
    render_item=render_item,
    compare_type=compare_type,
    # SQLite can't alter a column: Alembic rebuilds the table instead.
    render_as_batch=True,
    # The migrator's transaction holds all revisions of one run.
    transactional_ddl=False,
    on_version_apply=context.config.attributes["on_version_apply"],
)
context.run_migrations()
