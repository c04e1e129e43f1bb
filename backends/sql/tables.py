"""The table of a resource, from its specification. Every change here needs a migration of all of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    ForeignKey,
    Index,
    Table,
    UnaryExpression,
    UniqueConstraint,
    column,
)
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql import operators

from backends.sql.columns import type_of
from backends.sql.types import LONG_TEXT, ObjectIdBytes, UtcDateTime

if TYPE_CHECKING:
    from sqlalchemy import ColumnClause, MetaData
    from sqlalchemy.sql.schema import SchemaItem

    from backends.models.resources import FieldSpec, ResourceSpec

SPEC = "spec"
"""The key of a resource's specification in `Table.info`."""

ON_DELETE = {"restrict": None, "cascade": "CASCADE", "set_null": "SET NULL"}
"""The actions of foreign keys. Without one, a statement that leaves a reference to nothing fails."""


def table_of(spec: ResourceSpec, metadata: MetaData, targets: Mapping[str, Table]) -> Table:
    """Return the table of a resource. The keys of its columns are the names in the API.

    Args:
        spec: The specification.
        metadata: Where the table belongs.
        targets: The tables that references name, as far as they belong to other metadata: `users`.
    """
    columns: list[Column[Any]] = [Column("id", ObjectIdBytes, primary_key=True, nullable=False)]
    columns += [_column(field, targets) for field in spec.fields]
    if spec.owned:
        owner = ForeignKey(_key_of("users", targets), ondelete="CASCADE")
        columns.append(Column("owner_id", ObjectIdBytes, owner, nullable=False))
    columns.append(Column("created_at", UtcDateTime, nullable=False))
    columns.append(Column("version", BigInteger, nullable=False))
    # `models.fold_case` of the texts; the result may be longer than the text.
    columns += [
        Column(f"{field.column}_folded", LONG_TEXT, key=f"{field.name}_folded", nullable=field.nullable)
        for field in spec.fields
        if field.searchable
    ]
    constraints = (*_checks(spec), *_unique(spec), *_indexes(spec, {each.key: each for each in columns}))
    return Table(spec.name, metadata, *columns, *constraints, info={SPEC: spec})


def _column(field: FieldSpec, targets: Mapping[str, Table]) -> Column[Any]:
    references = []
    if field.target is not None and field.on_delete is not None:
        key = _key_of(field.target, targets)
        references.append(ForeignKey(key, ondelete=ON_DELETE[field.on_delete]))
    return Column(field.column, type_of(field), *references, key=field.name, nullable=field.nullable)


def _key_of(table: str, targets: Mapping[str, Table]) -> str | Column[Any]:
    return targets[table].c.id if table in targets else f"{table}.id"


def _checks(spec: ResourceSpec) -> Iterator[SchemaItem]:
    """Yield the constraints on choices and on exact numbers."""
    for field in spec.fields:
        name: ColumnClause[Any] = column(field.column)
        if field.kind == "choice":
            yield CheckConstraint(name.in_(sorted(field.choices)), name=field.column)
        elif field.kind in {"integer", "decimal"}:
            least, most = (_stored(field, bound) for bound in (field.minimum, field.maximum))
            yield CheckConstraint(name.between(least, most), name=field.column)


def _stored(field: FieldSpec, bound: float | str | None) -> int:
    """Return a bound of an exact number as the column stores it."""
    return int(Decimal(str(bound)).scaleb(field.decimal_places or 0))


def _unique(spec: ResourceSpec) -> Iterator[SchemaItem]:
    for group in spec.unique:
        yield UniqueConstraint(*group)


class _NullsFirst(UnaryExpression[Any]):
    """A column of an index with nulls first, as lists are sorted; without NULLS FIRST on SQLite.

    Nulls are first in SQLite's indexes and last in PostgreSQL's.
    """

    inherit_cache = True


@compiles(_NullsFirst, "sqlite")
def _compile_on_sqlite(element: _NullsFirst, compiler: Any, **options: Any) -> str:
    return str(compiler.process(element.element, **options))


def _sorted_by(column: Column[Any]) -> Column[Any] | _NullsFirst:
    return _NullsFirst(column, modifier=operators.nulls_first_op) if column.nullable else column


def _indexes(spec: ResourceSpec, columns: Mapping[str, Column[Any]]) -> Iterator[Index]:
    """Yield the indexes that serve lists, in both directions, and the deletion of what is referred to."""
    sorts = ["created_at", *(field.name for field in spec.fields if field.sortable)]
    for owner in ((), ("owner_id",)) if spec.owned else ((),):
        for name in sorts:
            yield Index(None, *owner, _sorted_by(columns[name]), "id")
    for field in spec.fields:
        owner = ("owner_id",) if spec.owned else ()
        if field.filterable and not field.sortable and field.kind != "list":
            yield Index(None, *owner, field.name, "created_at", "id")
        if field.kind == "reference" and (spec.owned or not field.filterable):
            yield Index(None, field.name)
        if field.kind == "list" and field.filterable:
            # Migrations pass the option on. It would import PostgreSQL's dialect, which takes a
            # twentieth of a start on SQLite.
            option = {"postgresql_using": "gin"}
            yield Index(None, field.name, info=option).ddl_if(dialect="postgresql")
