"""Finishes the tables of applied revisions on PostgreSQL, while others read and write them.

A transaction that creates an index keeps everybody from writing. So the revisions leave the indexes of
tables with many rows out, and foreign keys that need no look at the rows are not validated. Here, the
indexes are created concurrently, outside of a transaction, and the constraints are validated. The names in
the catalog say what is left, so a run after an interruption goes on.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import TYPE_CHECKING

from alembic.operations import Operations
from alembic.runtime.migration import MigrationContext
from sqlalchemy import bindparam, text
from sqlalchemy.schema import CreateIndex, DropIndex

from backends.sql.ownership import shortened
from migrations.sql.lock import second_connection
from migrations.sql.table_changes import indexes_of

if TYPE_CHECKING:
    from sqlalchemy import Index, Table
    from sqlalchemy.engine import Connection

_INDEXES = text("""
SELECT t.relname, c.relname, i.indisvalid
FROM pg_class t JOIN pg_index i ON i.indrelid = t.oid JOIN pg_class c ON c.oid = i.indexrelid
WHERE t.relnamespace = (SELECT oid FROM pg_namespace WHERE nspname = current_schema())
  AND t.relname IN :tables
""").bindparams(bindparam("tables", expanding=True))
_NOT_VALIDATED = text("""
SELECT t.relname, k.conname FROM pg_constraint k JOIN pg_class t ON t.oid = k.conrelid
WHERE t.relnamespace = (SELECT oid FROM pg_namespace WHERE nspname = current_schema())
  AND t.relname IN :tables AND k.contype IN ('c', 'f') AND NOT k.convalidated
ORDER BY 1, 2
""").bindparams(bindparam("tables", expanding=True))


@dataclass(frozen=True, slots=True)
class Unfinished:
    """What tables lack.

    Attributes:
        missing: The indexes to create.
        invalid: Those among them that an interrupted creation left, and that nothing uses.
        not_validated: The constraints to validate: table, name.
    """

    missing: Collection[Index]
    invalid: Collection[Index]
    not_validated: Collection[tuple[str, str]]

    def __bool__(self) -> bool:
        """Whether there is anything to do."""
        return bool(self.missing or self.not_validated)


def unfinished(connection: Connection, tables: Collection[Table]) -> Unfinished:
    """Return what existing tables of declared resources lack."""
    names = {"tables": [table.name for table in tables]}
    valid = {(table, name): is_valid for table, name, is_valid in connection.execute(_INDEXES, names)}
    there = {table for table, _ in valid}  # each table has the index of its primary key
    indexes = [
        index
        for table in tables
        if table.name in there
        for index in indexes_of(table, connection.dialect)
        if not valid.get((table.name, shortened(str(index.name))))
    ]
    invalid = [each for each in indexes if each.table is not None and _key(each) in valid]
    rows = connection.execute(_NOT_VALIDATED, names)
    return Unfinished(indexes, invalid, [(table, name) for table, name in rows])


def _key(index: Index) -> tuple[str, str]:
    return (index.table.name if index.table is not None else "", shortened(str(index.name)))


def finish(connection: Connection, tables: Collection[Table]) -> None:
    """Create what the tables lack, each index in a statement of its own on a second connection.

    Args:
        connection: The connection, in the transaction that holds the migration lock. It must have changed
            nothing: its locks would be waited for.
        tables: The tables that the applied revisions add up to.

    Raises:
        DBAPIError: A statement failed; what was finished before stays.
    """
    left = unfinished(connection, tables) if tables else None
    if not left:
        return
    # Outside of a transaction, no search path of the settings is in effect.
    schema = connection.exec_driver_sql("SELECT current_schema()").scalar_one()
    # asyncpg's last statement keeps its snapshot, for which the creation of an index would wait; this one
    # has none.
    connection.exec_driver_sql("SAVEPOINT finishing")
    with second_connection(connection, schema_translate_map={None: schema}) as second:
        operations = Operations(MigrationContext.configure(second))
        for index in left.missing:
            index.dialect_kwargs["postgresql_concurrently"] = True
            if index in left.invalid:
                operations.execute(DropIndex(index))
            operations.execute(CreateIndex(index))
        quote = second.dialect.identifier_preparer.quote
        for table, name in left.not_validated:
            second.exec_driver_sql(
                f"ALTER TABLE {quote(schema)}.{quote(table)} VALIDATE CONSTRAINT {quote(name)}"
            )
