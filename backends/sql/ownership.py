"""Distinguishes EitherDB's tables from those of other applications by the database's catalog.

A table is recognised by its primary key and its columns. The name, columns and types of the key are unlike
those of other applications. Columns may have been added or dropped by hand. Only the catalog and the table
of revisions are read, and nothing is written.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import PrimaryKeyConstraint, Table, UniqueConstraint
from sqlalchemy.util import md5_hex

from backends.errors import ForeignSchema
from backends.sql.schema import METADATA
from backends.sql.types import ObjectIdBytes

REVISIONS = "alembic_version"
"""The table in which Alembic records the applied revision."""

READ_REVISIONS = f"SELECT version_num FROM {REVISIONS}"  # noqa: S608 - a constant

Rows = Iterable[Iterable[Any]]

PREPARED = "eitherdb_prepared_"
"""The names of what the migrations prepare in a table begin so. Servers let it be."""

_MAX_NAME = 63
"""The greatest length of PostgreSQL's names, in bytes."""

_NUMBER = re.compile(r"(?!0000)[0-9]{4}")

_POSTGRES = """
SELECT c.relname, CASE c.relkind WHEN 'r' THEN 'table' WHEN 'p' THEN 'table' WHEN 'f' THEN 'foreign table'
    WHEN 'v' THEN 'view' WHEN 'm' THEN 'materialized view' WHEN 'S' THEN 'sequence'
    WHEN 'c' THEN 'type' ELSE 'index' END,
  coalesce(t.relname, c.relname), k.conname,
  a.attname, format_type(a.atttypid, NULL), a.attnum = ANY (k.conkey)
FROM pg_class c
LEFT JOIN pg_index i ON i.indexrelid = c.oid
LEFT JOIN pg_class t ON t.oid = i.indrelid
LEFT JOIN pg_constraint k ON k.conrelid = c.oid AND k.contype = 'p'
LEFT JOIN pg_attribute a
  ON a.attrelid = c.oid AND c.relkind IN ('r', 'p') AND a.attnum > 0 AND NOT a.attisdropped
WHERE c.relnamespace = (SELECT oid FROM pg_namespace WHERE nspname = current_schema())
  AND c.relname IN ({names})
UNION ALL
SELECT typname, 'type', typname, NULL, NULL, NULL, NULL FROM pg_type
WHERE typnamespace = (SELECT oid FROM pg_namespace WHERE nspname = current_schema())
  AND typrelid = 0 AND typname IN ({tables})
"""

# The columns of views are not read, because a broken view would raise an error.
_SQLITE = """
SELECT lower(m.name), m.type, lower(m.tbl_name), m.sql, c.name, c.type, c.pk > 0
FROM sqlite_master AS m LEFT JOIN pragma_table_info(CASE m.type WHEN 'table' THEN m.name END) AS c
WHERE m.type <> 'trigger' AND lower(m.name) IN ({names})
"""


@dataclass(slots=True)
class _Found:
    """An object with a name that EitherDB uses."""

    kind: str
    table: str
    """The table of an index; otherwise the object's own name."""
    key_name: str
    columns: set[str] = field(default_factory=set)
    key: dict[str, str] = field(default_factory=dict)
    """The columns of the primary key, with their types."""


class Occupancy:
    """The objects in the database with names that EitherDB uses.

    Attributes:
        recognised: The tables that belong to EitherDB.
    """

    def __init__(
        self,
        found: Mapping[str, _Found],
        revisions: list[str],
        tables: Mapping[str, Table],
        *,
        has_schemas: bool,
    ) -> None:
        """Classify the objects.

        Args:
            found: The objects by name.
            revisions: The revisions that `alembic_version` records.
            tables: EitherDB's tables, with those of declared resources.
            has_schemas: Whether the operator can choose another schema of the same database.
        """
        self._found = found
        self._revisions = revisions
        self._has_schemas = has_schemas
        on_sqlite = not has_schemas
        self._owners = _owners(tables, on_sqlite=on_sqlite)
        # SQLite has no GIN indexes, and other names for those of constraints.
        self._absent = {*dict(_constraints(tables)), *_gin_indexes(tables)} if on_sqlite else set()
        self.recognised = {
            name for name, table in tables.items() if name in found and _is_ours(table, found[name])
        }

    @property
    def applied(self) -> str | None:
        """The recorded revision of this or a newer EitherDB; None if none is recorded.

        Raises:
            ForeignSchema: The revision belongs to another application.
        """
        versions = self._found.get(REVISIONS)
        if versions is None or (not self._revisions and "version_num" in versions.columns):
            return None
        is_ours = (
            self.recognised & METADATA.tables.keys()
            and len(self._revisions) == 1
            and _NUMBER.fullmatch(self._revisions[0])
        )
        if not is_ours:
            revisions = sorted(self._revisions)[:3] or [versions.kind]
            raise ForeignSchema.history(REVISIONS, revisions, has_schemas=self._has_schemas)
        return self._revisions[0]

    def refuse_foreign(self, *, made: Iterable[str], among: Iterable[str] | None = None) -> None:
        """Raise an error if an object with one of EitherDB's names was not created by its migrations.

        Args:
            made: The tables that the applied revisions created.
            among: The tables to check, with their indexes; None for all.

        Raises:
            ForeignSchema: There are such objects; the message names them.
        """
        ours = self.recognised & set(made)
        looked_at = set(self._owners.values()) if among is None else set(among)
        foreign = [
            f"{found.kind} {name}"
            for name, found in self._found.items()
            if name != REVISIONS
            and self._owners[name] in looked_at
            and found.table not in ours
            # The indexes of a listed table are not listed.
            and (found.kind != "index" or found.table not in self._found)
        ]
        if foreign:
            raise ForeignSchema.occupied(foreign, has_schemas=self._has_schemas)

    def drift(self, tables: Iterable[Table]) -> list[str]:
        """Compare the names of the columns and indexes of existing tables; one sentence per difference.

        The names are part of the query, so this costs nothing. `Migrator.check` compares the definitions.
        """
        found = []
        for table in tables:
            columns, there = {column.name for column in table.columns}, self._found[table.name].columns
            found += [f"the table {table.name} lacks the column {name}" for name in sorted(columns - there)]
            found += [
                f"the table {table.name} has the column {name}, which is not declared"
                for name in sorted(there - columns)
                if not name.startswith(PREPARED)
            ]
            names = sorted(name for name, owner in self._owners.items() if owner == table.name)
            found += [
                f"the table {table.name} lacks the index {name}"
                for name in names
                if name not in self._found and name not in self._absent
            ]
        return found


def catalog_query(tables: Mapping[str, Table] = METADATA.tables, *, on_sqlite: bool) -> str:
    """Return the query for objects with the names of these tables; `occupancy` reads its rows."""
    constraints = dict(_constraints(tables))
    owners = _owners(tables, on_sqlite=on_sqlite)
    names = [name for name in owners if not on_sqlite or name not in constraints]
    template = _SQLITE if on_sqlite else _POSTGRES
    return template.format(names=_quoted([*names, REVISIONS]), tables=_quoted([*tables, REVISIONS]))


def occupancy(
    rows: Rows, revisions: Rows, tables: Mapping[str, Table] = METADATA.tables, *, on_sqlite: bool
) -> Occupancy:
    """Return the objects in the database with EitherDB's names.

    Args:
        rows: The rows of `catalog_query`, one for each column of a table.
        revisions: The rows of `READ_REVISIONS`.
        tables: The tables of the query.
        on_sqlite: Whether the database is SQLite.
    """
    found: dict[str, _Found] = {}
    for name, kind, table, key_name, column, column_type, is_key in rows:
        each = found.setdefault(name, _Found(kind, table, key_name or ""))
        if column is not None:
            each.columns.add(column)
            if is_key:
                each.key[column] = column_type
    numbers = [str(revision) for (revision,) in revisions]
    return Occupancy(found, numbers, tables, has_schemas=not on_sqlite)


def has_revisions(rows: Rows) -> bool:
    """Return whether the rows of `catalog_query` contain a readable table of revisions."""
    return any(name == REVISIONS and column == "version_num" for name, _, _, _, column, _, _ in rows)


def _is_ours(table: Table, found: _Found) -> bool:
    key = table.primary_key
    # In SQLite's catalog, the name is part of the CREATE TABLE statement.
    is_named = re.search(rf"\b{key.name}\b", found.key_name) is not None
    is_keyed = set(found.key) == set(key.columns.keys()) and all(
        found.key[column.name].lower().startswith(_TYPES[isinstance(column.type, ObjectIdBytes)])
        for column in key.columns
    )
    known = found.columns & {column.name for column in table.columns}
    return found.kind == "table" and is_named and is_keyed and 2 * len(known) > len(table.columns)


def _quoted(names: Iterable[str]) -> str:
    return ", ".join(f"'{name}'" for name in names)


_TYPES = {True: ("bytea", "blob"), False: ("character varying", "varchar")}
"""Prefixes of the types of ids, and of the other primary key columns, on PostgreSQL and SQLite."""


def _constraints(tables: Mapping[str, Table]) -> Iterator[tuple[str, str]]:
    """Yield the constraints that have an index of the same name on PostgreSQL, and their tables."""
    for table in tables.values():
        for constraint in table.constraints:
            if isinstance(constraint, (PrimaryKeyConstraint, UniqueConstraint)):
                yield str(constraint.name), table.name


def _gin_indexes(tables: Mapping[str, Table]) -> Iterator[str]:
    """Yield the indexes that PostgreSQL alone has."""
    for table in tables.values():
        for index in table.indexes:
            if "postgresql_using" in index.info:
                yield str(index.name)


def _owners(tables: Mapping[str, Table], *, on_sqlite: bool) -> dict[str, str]:
    """Return every name in the catalog that these tables use, and its table."""
    indexes = {str(index.name): table.name for table in tables.values() for index in table.indexes}
    names = {**dict(_constraints(tables)), **indexes}
    if not on_sqlite:
        names = {shortened(name): table for name, table in names.items()}
    return {**{name: name for name in tables}, **names}


def shortened(name: str) -> str:
    """Return a name as SQLAlchemy shortens it for PostgreSQL."""
    return name if len(name) <= _MAX_NAME else f"{name[: _MAX_NAME - 8]}_{md5_hex(name)[-4:]}"
