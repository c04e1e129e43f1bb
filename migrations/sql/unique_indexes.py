"""Creates the indexes of unique constraints before the transaction of a revision on PostgreSQL.

A constraint that is added with its index keeps everybody from writing until all rows are read. So the index
of a table with many rows is created concurrently, and the constraint only takes it over. An index that an
interrupted run left is taken over by the next one, or created again if it is invalid.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from sqlalchemy import Index, UniqueConstraint, text
from sqlalchemy.exc import IntegrityError
from sqlalchemy.schema import CreateIndex, DropIndex, conv

if TYPE_CHECKING:
    from sqlalchemy import Table
    from sqlalchemy.engine import Connection

_IS_VALID = text("""
SELECT i.indisvalid AND i.indisunique FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid
WHERE c.relname = :name AND c.relnamespace = (SELECT oid FROM pg_namespace WHERE nspname = current_schema())
""")
_IS_LOCKED = text("""
SELECT EXISTS (SELECT FROM pg_locks WHERE pid = pg_backend_pid()
  AND relation = (SELECT c.oid FROM pg_class c WHERE c.relname = :name
    AND c.relnamespace = (SELECT oid FROM pg_namespace WHERE nspname = current_schema())))
""")


def index_of(constraint: UniqueConstraint) -> Index:
    """Return an index like that of a unique constraint, in metadata of its own."""
    table = constraint.table
    copy = table.to_metadata(type(table.metadata)())
    copy.indexes.clear()
    columns = [copy.c[column.key] for column in constraint.columns]
    return Index(conv(str(constraint.name)), *columns, unique=True, postgresql_concurrently=True)


def is_prepared(connection: Connection, constraint: UniqueConstraint) -> bool:
    """Return whether there is a valid index for a constraint, which the table lacks."""
    return bool(connection.scalar(_IS_VALID, {"name": _name(connection, constraint)}))


def take_over(connection: Connection, constraint: UniqueConstraint) -> str:
    """Return the statement that makes a prepared index the one of its constraint."""
    preparer = connection.dialect.identifier_preparer
    name = preparer.format_constraint(constraint)
    table = preparer.format_table(constraint.table)
    return f"ALTER TABLE {table} ADD CONSTRAINT {name} UNIQUE USING INDEX {name}"


def prepare(connection: Connection, table: Table, constraints: Iterable[UniqueConstraint]) -> None:
    """Create the indexes on a second connection.

    If rows have the same values, no index remains: adding the constraint says so.

    Args:
        connection: The connection, in the migration's transaction.
        table: The table. If the transaction has locked it, nothing is done: its end would be waited for.
        constraints: The constraints that the table will have.
    """
    if connection.scalar(_IS_LOCKED, {"name": table.name}):
        return
    schema = connection.exec_driver_sql("SELECT current_schema()").scalar_one()
    engine = connection.engine.execution_options(schema_translate_map={None: schema})
    for constraint in constraints:
        is_valid = connection.scalar(_IS_VALID, {"name": _name(connection, constraint)})
        # See `migrations.sql.finishing`: a statement without a snapshot, for which nobody waits.
        connection.exec_driver_sql("SAVEPOINT preparing")
        if is_valid:
            continue
        index = index_of(constraint)
        with engine.connect() as second:
            second.execute(DropIndex(index, if_exists=True))
            try:
                second.execute(CreateIndex(index))
            except IntegrityError:
                second.execute(DropIndex(index, if_exists=True))


def _name(connection: Connection, constraint: UniqueConstraint) -> str:
    formatted = connection.dialect.identifier_preparer.format_constraint(constraint)
    return str(formatted).strip('"')
