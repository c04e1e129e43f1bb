"""What is prepared in a table before the transaction of a revision on PostgreSQL: its names, and its end.

Everything that is prepared has a name that begins with `PREPARED`, and goes on with a digest of its
definition. So a revision takes over what it wants and nothing else, and what no revision wants is found.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Iterator
from typing import TYPE_CHECKING, NamedTuple

from sqlalchemy import (
    CheckConstraint,
    Index,
    MetaData,
    Table,
    UniqueConstraint,
    bindparam,
    text,
)
from sqlalchemy.schema import AddConstraint, conv
from sqlalchemy.sql import visitors

from backends.sql.ownership import PREPARED
from migrations.sql.lock import lock_table

if TYPE_CHECKING:
    from sqlalchemy import Dialect
    from sqlalchemy.engine import Connection

_FOUND = text("""
WITH here AS (SELECT oid AS schema FROM pg_namespace
  WHERE nspname = coalesce(CAST(:schema AS text), current_schema())),
found (position, kind, relation, name, is_valid) AS (
  SELECT 1, 'trigger', tgrelid, tgname, true FROM pg_trigger
  UNION ALL SELECT 3, 'constraint', conrelid, conname, convalidated FROM pg_constraint WHERE contype = 'c'
  UNION ALL SELECT 4, 'index', i.indrelid, c.relname, i.indisvalid AND i.indisunique
    FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid
  UNION ALL SELECT 5, 'column', attrelid, attname, true FROM pg_attribute WHERE NOT attisdropped
)
SELECT position, kind, t.relname, name, is_valid
FROM found JOIN pg_class t ON t.oid = relation AND t.relkind = 'r', here
WHERE t.relnamespace = here.schema AND starts_with(name, :prefix)
UNION ALL SELECT 2, 'function', '', proname, true FROM pg_proc, here
WHERE pronamespace = here.schema AND starts_with(proname, :prefix)
ORDER BY 1, 3, 4
""").bindparams(bindparam("prefix", PREPARED))


class Prepared(NamedTuple):
    """Something that is prepared.

    Attributes:
        kind: `trigger`, `function`, `constraint`, `index` or `column`.
        table: The name of the table; empty for a function.
        name: Its name.
        is_valid: Whether a constraint is validated, or an index was created to its end.
    """

    kind: str
    table: str
    name: str
    is_valid: bool


def find_prepared(connection: Connection, schema: str | None = None) -> list[Prepared]:
    """Return everything that is prepared in a schema, in the order in which it can be dropped.

    Args:
        connection: The connection.
        schema: The schema; None for the current one.
    """
    return [Prepared(*row[1:]) for row in connection.execute(_FOUND, {"schema": schema})]


def is_prepared(connection: Connection, name: str) -> bool:
    """Return whether there is a finished one of this name."""
    return any(each.name == name and each.is_valid for each in find_prepared(connection))


def drop_prepared(connection: Connection, *, wanted: Collection[str] = ()) -> None:
    """Drop what is prepared in the open transaction, but for these names."""
    quote = connection.dialect.identifier_preparer.quote
    left = [each for each in find_prepared(connection) if each.name not in wanted]
    for table in sorted({each.table for each in left} - {""}):
        lock_table(connection, Table(table, MetaData()))
    for each in left:
        table, name = quote(each.table), quote(each.name)
        match each.kind:
            case "trigger":
                statement = f"DROP TRIGGER {name} ON {table}"
            case "function":
                statement = f"DROP FUNCTION {name}()"
            case "index":
                statement = f"DROP INDEX {name}"
            case _:
                statement = f"ALTER TABLE {table} DROP {each.kind} {name}"
        connection.exec_driver_sql(statement)


def _name(*definition: str) -> str:
    digest = hashlib.sha256("\0".join(definition).encode()).hexdigest()
    return f"{PREPARED}{digest[:16]}"


def folded_name(table: str, column: str) -> str:
    """Return the name of a column of folded texts, and of its trigger and function."""
    return _name(table, column)


def constraint_name(constraint: CheckConstraint | UniqueConstraint, dialect: Dialect) -> str:
    """Return the name of a prepared CHECK, or of the index of a unique constraint."""
    added = AddConstraint(constraint, isolate_from_table=False)
    return _name(str(added.compile(dialect=dialect)))


def index_of(constraint: UniqueConstraint, name: str, schema: str) -> Index:
    """Return an index like that of a unique constraint, in metadata of its own."""
    copy = copy_in(schema, constraint.table)
    columns = [copy.c[column.key] for column in constraint.columns]
    return Index(conv(name), *columns, unique=True, postgresql_concurrently=True)


def check_of(constraint: CheckConstraint, name: str, schema: str) -> CheckConstraint:
    """Return a CHECK with another name that is not validated, in metadata of its own."""
    copy = copy_in(schema, _table_of(constraint))
    check = CheckConstraint(constraint.sqltext, name=conv(name), postgresql_not_valid=True)
    copy.append_constraint(check)
    return check


def not_null_check(table: Table, column: str) -> CheckConstraint:
    """Return a CHECK by which PostgreSQL makes a column NOT NULL without a scan; in metadata of its own."""
    copy = table.to_metadata(MetaData())
    check = CheckConstraint(copy.c[column].is_not(None), name=f"{column}_not_null")
    copy.append_constraint(check)
    return check


def copy_in(schema: str, table: Table) -> Table:
    """Return a table without indexes that statements name with its schema.

    Outside of a transaction, no search path of the settings is in effect.
    """
    copy = table.to_metadata(MetaData(), schema=schema)
    copy.indexes.clear()
    return copy


def columns_of_check(constraint: CheckConstraint) -> set[str]:
    """Return the names of the columns that a CHECK is about."""
    found = visitors.iterate(constraint.sqltext)
    return {str(getattr(each, "name", "")) for each in found if each.__visit_name__ == "column"}


def take_over(connection: Connection, constraint: CheckConstraint | UniqueConstraint, name: str) -> str:
    """Return the statement that makes what is prepared the constraint."""
    preparer = connection.dialect.identifier_preparer
    final, table = preparer.format_constraint(constraint), preparer.format_table(_table_of(constraint))
    if isinstance(constraint, UniqueConstraint):
        # The index gets the name of the constraint.
        return f"ALTER TABLE {table} ADD CONSTRAINT {final} UNIQUE USING INDEX {preparer.quote(name)}"
    return f"ALTER TABLE {table} RENAME CONSTRAINT {preparer.quote(name)} TO {final}"


def create_folded(connection: Connection, table: Table, column: str, name: str) -> Iterable[str]:
    """Return the statements that add a column of folded texts.

    Its trigger takes the folded text away when a server of the revision before changes the text. That
    server's new rows have none. So a folded text is always that of its row.
    """
    preparer = connection.dialect.identifier_preparer
    quoted, text_ = preparer.format_table(table), preparer.quote(column)
    schema = preparer.quote_schema(table.schema or "")
    body = (
        f"$$ BEGIN IF NEW.{text_} IS DISTINCT FROM OLD.{text_} THEN NEW.{name} := NULL; END IF; "
        "RETURN NEW; END $$"
    )
    return (
        f'ALTER TABLE {quoted} ADD COLUMN {name} TEXT COLLATE "C"',
        f"CREATE FUNCTION {schema}.{name}() RETURNS trigger LANGUAGE plpgsql AS {body}",
        f"CREATE TRIGGER {name} BEFORE UPDATE ON {quoted} FOR EACH ROW EXECUTE FUNCTION {schema}.{name}()",
    )


def take_over_folded(connection: Connection, table: Table, column: str, name: str) -> Iterator[str]:
    """Yield the statements that give a prepared column its name, and drop its trigger."""
    preparer = connection.dialect.identifier_preparer
    quoted = preparer.format_table(table)
    yield f"DROP TRIGGER {name} ON {quoted}"
    yield f"DROP FUNCTION {name}()"
    yield f"ALTER TABLE {quoted} RENAME COLUMN {name} TO {preparer.quote(column)}"


def _table_of(constraint: CheckConstraint | UniqueConstraint) -> Table:
    if not isinstance(constraint.table, Table):  # a constraint of these tables has one
        raise TypeError(constraint)
    return constraint.table
