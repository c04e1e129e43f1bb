"""Tells EitherDB's tables from those of other applications, by what the catalog says of them.

A table is recognised by its primary key, whose name, columns and types are unlike what other applications
have, and by its columns, of which somebody may have added or dropped one by hand. Nothing is read but the
catalog and the table of revisions, and nothing is written.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import PrimaryKeyConstraint, Table, UniqueConstraint

from backends.errors import ForeignSchema
from backends.sql.schema import METADATA, ObjectIdBytes

REVISIONS = "alembic_version"
"""The table in which Alembic records the applied revision."""

READ_REVISIONS = f"SELECT version_num FROM {REVISIONS}"  # noqa: S608 - a name of ours

Rows = Iterable[Iterable[Any]]

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

# A view is not asked for its columns: a broken one would raise.
_SQLITE = """
SELECT lower(m.name), m.type, lower(m.tbl_name), m.sql, c.name, c.type, c.pk > 0
FROM sqlite_master AS m LEFT JOIN pragma_table_info(CASE m.type WHEN 'table' THEN m.name END) AS c
WHERE m.type <> 'trigger' AND lower(m.name) IN ({names})
"""


@dataclass(slots=True)
class _Found:
    """What has one of our names."""

    kind: str
    table: str
    """Of an index its table, else its own name."""
    key_name: str
    columns: set[str] = field(default_factory=set)
    key: dict[str, str] = field(default_factory=dict)
    """The columns of the primary key, with their types."""


class Occupancy:
    """What is in the database under the names that EitherDB uses.

    Attributes:
        recognised: The tables that are EitherDB's.
    """

    def __init__(self, found: Mapping[str, _Found], revisions: list[str], *, has_schemas: bool) -> None:
        """Judge what was found.

        Args:
            found: By name.
            revisions: What `alembic_version` records.
            has_schemas: Whether another schema of the same database would do for EitherDB.
        """
        self._found = found
        self._revisions = revisions
        self._has_schemas = has_schemas
        self.recognised = {
            name
            for name, table in METADATA.tables.items()
            if name in found and _is_ours(table, found[name])
        }

    @property
    def applied(self) -> str | None:
        """The recorded revision, of this or of a newer EitherDB; None if none is.

        Raises:
            ForeignSchema: Another application's is recorded.
        """
        versions = self._found.get(REVISIONS)
        if versions is None or (not self._revisions and "version_num" in versions.columns):
            return None
        is_ours = self.recognised and len(self._revisions) == 1 and _NUMBER.fullmatch(self._revisions[0])
        if not is_ours:
            revisions = sorted(self._revisions)[:3] or [versions.kind]
            raise ForeignSchema.history(REVISIONS, revisions, has_schemas=self._has_schemas)
        return self._revisions[0]

    def refuse_foreign(self, *, made: Iterable[str], among: Iterable[str] = METADATA.tables) -> None:
        """Refuse to go on where something has one of our names that our migrations did not make.

        Args:
            made: The tables that the applied revisions made.
            among: The tables whose names and whose indexes' names are looked at.

        Raises:
            ForeignSchema: With the names.
        """
        ours, looked_at = self.recognised & set(made), set(among)
        foreign = [
            f"{found.kind} {name}"
            for name, found in self._found.items()
            if name != REVISIONS
            and _OWNERS[name] in looked_at
            and found.table not in ours
            # Of a table that is named itself the indexes are not.
            and (found.kind != "index" or found.table not in self._found)
        ]
        if foreign:
            raise ForeignSchema.occupied(foreign, has_schemas=self._has_schemas)


def catalog_query(*, on_sqlite: bool) -> str:
    """Return the query that finds what has one of our names; `occupancy` reads its rows."""
    tables = [*METADATA.tables, REVISIONS]
    names = [name for name in _OWNERS if not on_sqlite or name not in _CONSTRAINTS]
    template = _SQLITE if on_sqlite else _POSTGRES
    return template.format(names=_quoted([*names, REVISIONS]), tables=_quoted(tables))


def occupancy(rows: Rows, revisions: Rows, *, on_sqlite: bool) -> Occupancy:
    """Return what is in the database.

    Args:
        rows: What `catalog_query` found: a row for each column of a table.
        revisions: What `READ_REVISIONS` found.
        on_sqlite: Which of the two kinds of database it is.
    """
    found: dict[str, _Found] = {}
    for name, kind, table, key_name, column, column_type, is_key in rows:
        each = found.setdefault(name, _Found(kind, table, key_name or ""))
        if column is not None:
            each.columns.add(column)
            if is_key:
                each.key[column] = column_type
    return Occupancy(found, [str(revision) for (revision,) in revisions], has_schemas=not on_sqlite)


def has_revisions(rows: Rows) -> bool:
    """Tell whether among these rows of `catalog_query` is a table of revisions that can be read."""
    return any(name == REVISIONS and column == "version_num" for name, _, _, _, column, _, _ in rows)


def _is_ours(table: Table, found: _Found) -> bool:
    key = table.primary_key
    # SQLite's catalog has the name in the statement that made the table.
    is_named = re.search(rf"\b{key.name}\b", found.key_name) is not None
    is_keyed = set(found.key) == set(key.columns.keys()) and all(
        found.key[column.name].lower().startswith(_TYPES[isinstance(column.type, ObjectIdBytes)])
        for column in key.columns
    )
    known = found.columns & set(table.columns.keys())
    return found.kind == "table" and is_named and is_keyed and 2 * len(known) > len(table.columns)


def _quoted(names: Iterable[str]) -> str:
    return ", ".join(f"'{name}'" for name in names)


_TYPES = {True: ("bytea", "blob"), False: ("character varying", "varchar")}
"""How the types of ids, and of the other columns of a primary key, begin on PostgreSQL and on SQLite."""

_CONSTRAINTS = {
    str(constraint.name): table.name
    for table in METADATA.tables.values()
    for constraint in table.constraints
    if isinstance(constraint, (PrimaryKeyConstraint, UniqueConstraint))
}
"""The constraints with an index of their name on PostgreSQL, and their tables."""

_OWNERS = {
    **{name: name for name in METADATA.tables},
    **_CONSTRAINTS,
    **{str(index.name): table.name for table in METADATA.tables.values() for index in table.indexes},
}
"""Every name that EitherDB uses in the catalog, and the table that it belongs to."""
