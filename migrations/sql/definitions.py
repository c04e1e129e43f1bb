"""Compares the tables of declared resources with their specifications, definition by definition.

A database writes a definition in words of its own. So the tables are created afresh, and the words of both
are compared. On PostgreSQL the new tables are temporary and rolled back; on SQLite they are in memory.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeAlias

from sqlalchemy import bindparam, create_engine, inspect, text
from sqlalchemy.schema import CreateIndex, CreateTable

from backends.sql.ownership import PREPARED

if TYPE_CHECKING:
    from sqlalchemy import ForeignKeyConstraint, Table
    from sqlalchemy.engine import Connection

Definitions: TypeAlias = Mapping[tuple[str, str], str]
"""The definition of each column, constraint and index of a table, by kind and name."""

_POSTGRES = text("""
SELECT 'column', a.attname, concat_ws(' ', format_type(a.atttypid, a.atttypmod),
    CASE WHEN a.attnotnull THEN 'NOT NULL' END, 'DEFAULT ' || pg_get_expr(d.adbin, d.adrelid),
    'COLLATE ' || (SELECT collname FROM pg_collation WHERE oid = nullif(a.attcollation, t.typcollation)))
FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid
LEFT JOIN pg_attrdef d ON (d.adrelid, d.adnum) = (a.attrelid, a.attnum)
WHERE a.attrelid = to_regclass(:name) AND a.attnum > 0 AND NOT a.attisdropped
UNION ALL
SELECT 'constraint', conname, regexp_replace(pg_get_constraintdef(oid), 'REFERENCES \\S+\\.', 'REFERENCES ')
FROM pg_constraint WHERE conrelid = to_regclass(:name) AND contype IN ('c', 'f', 'p', 'u')
UNION ALL
SELECT 'index', c.relname, concat_ws(' ', CASE WHEN i.indisunique THEN 'UNIQUE' END,
    CASE WHEN NOT i.indisvalid THEN 'INVALID' END,
    substring(pg_get_indexdef(i.indexrelid) FROM ' USING .*'))
FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid WHERE i.indrelid = to_regclass(:name)
UNION ALL
SELECT 'trigger', tgname, pg_get_triggerdef(oid)
FROM pg_trigger WHERE tgrelid = to_regclass(:name) AND NOT tgisinternal
UNION ALL
SELECT 'disabled constraint', k.conname, string_agg(g.tgname, ' ')
FROM pg_trigger g JOIN pg_constraint k ON k.oid = g.tgconstraint
WHERE g.tgrelid = to_regclass(:name) AND g.tgisinternal AND g.tgenabled = 'D' GROUP BY k.conname
UNION ALL
SELECT 'rule', rulename, pg_get_ruledef(oid) FROM pg_rewrite WHERE ev_class = to_regclass(:name)
UNION ALL
SELECT 'setting', 'row level security', 'enabled'
FROM pg_class WHERE oid = to_regclass(:name) AND relrowsecurity
""").bindparams(bindparam("name"))


def differences(connection: Connection, tables: Sequence[Table]) -> list[str]:
    """Return one sentence for each difference between these tables and the existing ones.

    Raises:
        DBAPIError: On PostgreSQL the role may not create temporary tables.
    """
    preparer = connection.dialect.identifier_preparer
    names = {table.name: preparer.quote(table.name) for table in tables}
    existing = {name: _read(connection, name, quoted) for name, quoted in names.items()}
    with _afresh(connection, tables) as there:
        declared = {name: _read(there, name, f"pg_temp.{quoted}") for name, quoted in names.items()}
    if connection.dialect.name == "postgresql":
        for table in tables:
            declared[table.name] = {**declared[table.name], **dict(_references(table, connection))}
    return [each for name in names for each in _compared(name, existing[name], declared[name])]


def _compared(table: str, existing: Definitions, declared: Definitions) -> Iterator[str]:
    if not existing:
        yield f"the table {table} is missing"
        return
    for kind, name in sorted({*existing, *declared}):
        there, wanted = existing.get((kind, name)), declared.get((kind, name))
        if there is None:
            yield f"the table {table} lacks the {kind} {name}"
        elif wanted is None and name.startswith(PREPARED):
            yield (
                f"the table {table} has the {kind} {name}, which an interrupted revision left: run "
                "`eitherdb migrate upgrade`, which takes it over or drops it"
            )
        elif wanted is None:
            yield f"the table {table} has the {kind} {name}, which is not declared"
        elif _unquoted(there) != _unquoted(wanted):
            yield f"the {kind} {name} of {table} is {there}, and is declared as {wanted}"


def _unquoted(definition: str) -> str:
    """Return a reference without quotes: SQLAlchemy quotes more names than PostgreSQL."""
    return definition.replace('"', "") if definition.startswith("FOREIGN KEY") else definition


@contextmanager
def _afresh(connection: Connection, tables: Sequence[Table]) -> Iterator[Connection]:
    """Create the tables and yield a connection that sees them; they are gone afterwards."""
    if connection.dialect.name == "sqlite":
        engine = create_engine("sqlite://")
        with engine.connect() as memory:
            tables[0].metadata.create_all(memory, tables)
            yield memory
        engine.dispose()
        return
    with connection.begin_nested() as savepoint:
        for table in tables:
            # A temporary table can't refer to a permanent one.
            create = CreateTable(table, include_foreign_key_constraints=[])
            statement = str(create.compile(dialect=connection.dialect))
            connection.exec_driver_sql(statement.replace("CREATE TABLE", "CREATE TEMPORARY TABLE", 1))
            for index in table.indexes:
                connection.execute(CreateIndex(index))
        yield connection
        savepoint.rollback()


def _read(connection: Connection, name: str, quoted: str) -> Definitions:
    if connection.dialect.name == "postgresql":
        rows = connection.execute(_POSTGRES, {"name": quoted})
        return {(kind, each): definition for kind, each, definition in rows}
    return dict(_read_sqlite(connection, name))


def _read_sqlite(connection: Connection, name: str) -> Iterator[tuple[tuple[str, str], str]]:
    def pragma(what: str, of: str) -> Sequence[Any]:
        query = text(f"SELECT * FROM pragma_{what}(:of)")  # noqa: S608 - names of ours
        return connection.execute(query, {"of": of}).all()

    for _, column, type_, is_required, default, key, _ in pragma("table_xinfo", name):
        parts = [type_, "NOT NULL" * is_required, f"DEFAULT {default}" * (default is not None), "KEY" * key]
        yield ("column", column), " ".join(filter(None, parts))
    for _, _, target, column, to, _, on_delete, _ in pragma("foreign_key_list", name):
        yield ("reference", column), f"REFERENCES {target} ({to}) ON DELETE {on_delete}"
    inspector = inspect(connection)
    if not inspector.has_table(name):
        return
    triggers = "SELECT name, sql FROM sqlite_schema WHERE type = 'trigger' AND tbl_name = :of"
    for trigger, definition in connection.execute(text(triggers), {"of": name}):
        yield ("trigger", trigger), definition
    for check in inspector.get_check_constraints(name):
        yield ("constraint", str(check["name"])), f"CHECK ({check['sqltext']})"
    for group in inspector.get_unique_constraints(name):
        yield ("constraint", str(group["name"])), f"UNIQUE ({', '.join(group['column_names'])})"
    for _, index, is_unique, origin, is_partial in pragma("index_list", name):
        if origin == "c":
            keys = [
                f"{column} {'DESC' if is_descending else 'ASC'} {collation}"
                for _, _, column, is_descending, collation, is_key in pragma("index_xinfo", index)
                if is_key
            ]
            yield ("index", index), f"{'UNIQUE ' * is_unique}{'PARTIAL ' * is_partial}({', '.join(keys)})"


def _references(table: Table, connection: Connection) -> Iterator[tuple[tuple[str, str], str]]:
    """Yield the foreign keys in PostgreSQL's words."""
    quote = connection.dialect.identifier_preparer.quote
    for constraint in table.foreign_key_constraints:
        target: ForeignKeyConstraint = constraint
        name = connection.dialect.identifier_preparer.format_constraint(target)
        column, (element,) = next(iter(target.columns)), target.elements
        action = f" ON DELETE {target.ondelete}" if target.ondelete else ""
        referred = f"{quote(element.column.table.name)}({quote(element.column.name)})"
        yield (
            ("constraint", str(name).strip('"')),
            f"FOREIGN KEY ({quote(column.name)}) REFERENCES {referred}{action}",
        )
