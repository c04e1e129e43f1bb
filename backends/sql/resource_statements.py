"""The statements of a resource's repository. Each is built once and compiled once."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING, Any, TypeVar

from sqlalchemy import MetaData, bindparam, delete, insert, or_, select, true, update

from backends.models.resources import FieldSpec
from backends.models.resources.values import FROM_JSON
from backends.sql.bulk import BulkInsert
from backends.sql.conditions import Conditions
from backends.sql.connections import KEPT_STATEMENTS
from backends.sql.functions import is_one_of
from backends.sql.pages import Lists, SortKey
from backends.sql.schema import ITEMS, METADATA, USERS
from backends.sql.tables import table_of

if TYPE_CHECKING:
    from sqlalchemy import ColumnElement, Select, Table

    from backends.models.resources import Resource, ResourceSpec
    from backends.sql.statements import Statement

R = TypeVar("R", bound="Resource")


@dataclass(frozen=True, slots=True)
class Restriction:
    """References with `restrict` to a row to delete, or to rows that would be deleted with it.

    Attributes:
        entity: The entity of the rows that refer.
        find: Finds one of them that would remain.
    """

    entity: str
    find: Statement


class ResourceStatements:
    """The statements on the table of a resource.

    Attributes:
        spec: The specification.
        table: The table.
        conditions: The conditions of lists.
        restrictions: What may keep a row from being deleted; `connect` sets it, like the next.
        emptying: What precedes the deletion of a row: see `emptying`.
    """

    def __init__(self, spec: ResourceSpec, table: Table) -> None:
        """Build what every resource needs; the rest is built on first use."""
        self.table = table
        self.conditions = Conditions(table, spec)
        self.restrictions: tuple[Restriction, ...] = ()
        self.emptying: list[Statement] = []
        self.add: Statement = insert(table)
        self.has_floats = any(field.kind == "float" for field in spec.fields)
        self.spec = spec
        self._targets: dict[str, Table] = {}
        self._entities: dict[str, str] = {}
        self._row = [table.c[name] for name in spec.columns]
        self.update = lru_cache(KEPT_STATEMENTS)(self._update)
        self.delete = lru_cache(4)(self._delete)
        self.lock = lru_cache(4)(self._lock)
        self.find_by = lru_cache(KEPT_STATEMENTS)(self._find_by)
        self.find_target = lru_cache(KEPT_STATEMENTS)(self._find_target)

    @cached_property
    def add_many(self) -> BulkInsert:
        """The insert of many rows."""
        return BulkInsert(self.table)

    def lists(self, cls: type[R]) -> Lists[R]:
        """Return the lists of the rows."""
        spec = self.spec
        sorts = {
            field.name: SortKey(nullable=field.nullable, from_json=FROM_JSON.get(field.kind))
            for field in spec.fields
            if field.sortable
        }
        return Lists(self.table, cls, columns=spec.columns, conditions=self.conditions, sorts=sorts)

    def _matches(self, *, of_owner: bool, of_versions: bool) -> list[ColumnElement[bool]]:
        matches = [self.table.c.id == bindparam("of_id")]
        if of_owner:
            matches.append(self.table.c.owner_id == bindparam("of_owner_id"))
        if of_versions:
            matches.append(is_one_of(self.table.c.version, "of_versions"))
        return matches

    def _update(self, changed: frozenset[str], *, of_owner: bool, of_versions: bool) -> Statement:
        values: dict[Any, Any] = {
            self.table.c[name]: bindparam(f"new_{name}", type_=self.table.c[name].type)
            for name in sorted(changed)
        }
        values[self.table.c.version] = self.table.c.version + 1
        matches = self._matches(of_owner=of_owner, of_versions=of_versions)
        return update(self.table).where(*matches).values(values).returning(*self._row)

    def _delete(self, *, of_owner: bool, of_versions: bool) -> Statement:
        matches = self._matches(of_owner=of_owner, of_versions=of_versions)
        return delete(self.table).where(*matches).returning(self.table.c.id)

    def _lock(self, *, of_owner: bool, of_versions: bool) -> Statement:
        matches = self._matches(of_owner=of_owner, of_versions=of_versions)
        return select(self.table.c.id).where(*matches).with_for_update()

    def _find_by(self, names: frozenset[str]) -> Statement:
        if names not in map(frozenset, self.spec.unique):
            raise ValueError(f"{', '.join(sorted(names))} is no unique group of {self.spec.name}")
        fits = [self.table.c[name] == bindparam(name) for name in sorted(names)]
        return select(*self._row).where(*fits)

    def _find_target(self, target: str) -> Statement:
        table = self._targets[target]
        return select(table.c.id).where(table.c.id == bindparam("of_id"))

    def entity_of(self, target: str) -> str:
        """Return the entity of the rows of a table that this resource refers to."""
        return self._entities[target]

    def connect(self, all_of_them: Mapping[str, ResourceStatements]) -> None:
        """Learn of the tables of all resources, to which this one refers and which refer to it."""
        self._targets = {"users": USERS, **{name: each.table for name, each in all_of_them.items()}}
        self._entities = {name: each.spec.entity for name, each in all_of_them.items()}
        self._entities["users"] = "user"
        self.restrictions = restrictions(self.spec.name, all_of_them.values())
        self.emptying = emptying(self.spec.name, all_of_them.values())


def restrictions(target: str, all_of_them: Iterable[ResourceStatements]) -> tuple[Restriction, ...]:
    """Return what may keep a row of a table from being deleted: direct references first.

    Cascades are followed as `emptying` does.
    """
    all_of_them = list(all_of_them)
    found: list[tuple[ResourceStatements, ColumnElement[bool]]] = []
    deleted: dict[str, list[ColumnElement[bool]]] = defaultdict(list)
    ahead: list[tuple[str, Select[Any] | None, tuple[str, ...]]] = [(target, None, ())]
    for name, of_ids, path in ahead:  # grows meanwhile
        ids, is_within = _with_descendants(name, all_of_them, of_ids)
        if is_within is not None:
            deleted[name].append(is_within)
        for each, field in _references(name, all_of_them):
            refers = _refers(each.table, field.name, ids)
            if field.on_delete == "restrict":
                found.append((each, refers))
            elif field.on_delete == "cascade" and each.table.name not in {*path, name}:
                deleted[each.table.name].append(refers)
                ahead.append((each.table.name, select(each.table.c.id).where(refers), (*path, name)))
    return tuple(
        Restriction(each.spec.entity, _find_remaining(each.table, refers, deleted[each.table.name]))
        for each, refers in found
    )


def _find_remaining(
    table: Table, refers: ColumnElement[bool], deleted: Sequence[ColumnElement[bool]]
) -> Statement:
    """Find a row that refers and fits no condition of the rows that are deleted."""
    remains = [or_(*deleted).is_not(true())] if deleted else []
    return select(table.c.id).where(refers, *remains).limit(1)


def emptying(
    target: str,
    all_of_them: Iterable[ResourceStatements],
    ids: Select[Any] | None = None,
    path: tuple[str, ...] = (),
) -> list[Statement]:
    """Return the statements that set references to null before a row of a table is deleted.

    The foreign keys would do so, but without a new version of the rows. Rows that are deleted with the row
    are locked first, so that no other row can refer to them meanwhile.

    Args:
        target: The table of the row `of_id`.
        all_of_them: All resources.
        ids: The ids of the rows of `target` that are deleted; None for `of_id` alone.
        path: The tables from which the deletion came. A table is not visited twice.
    """
    all_of_them = list(all_of_them)
    found: list[Statement] = []
    ids, is_within = _with_descendants(target, all_of_them, ids)
    for each, field in _references(target, all_of_them):
        table, name = each.table, field.name
        refers = _refers(table, name, ids)
        if field.on_delete == "set_null":
            values = {table.c[name]: None, table.c.version: table.c.version + 1}
            found.append(update(table).where(refers).values(values).returning(table.c.id))
        elif field.on_delete == "cascade" and table.name not in {*path, target}:
            rows = select(table.c.id).where(refers)
            deeper = emptying(table.name, all_of_them, rows, (*path, target))
            found += [rows.with_for_update(), *deeper] if deeper else []
    if found and is_within is not None:
        table = next(each.table for each in all_of_them if each.table.name == target)
        found.insert(0, select(table.c.id).where(is_within).with_for_update())
    return found


def _with_descendants(
    name: str, all_of_them: Iterable[ResourceStatements], ids: Select[Any] | None
) -> tuple[Select[Any] | None, ColumnElement[bool] | None]:
    """Add the rows that refer to these within their own table, with `cascade`, and so on.

    Returns:
        The ids, and the condition that a row has one of them. The same ids and None if the table has no
        such references.
    """
    within = [
        (each.table, field.name)
        for each, field in _references(name, all_of_them)
        if each.table.name == name and field.on_delete == "cascade"
    ]
    if not within:
        return ids, None
    table = within[0][0]
    if ids is None:
        ids = select(table.c.id).where(table.c.id == bindparam("of_id", type_=table.c.id.type))
    tree = ids.cte(recursive=True)
    refers = or_(*(table.c[field] == tree.c.id for _, field in within))
    tree = tree.union(select(table.c.id).where(refers))
    ids = select(tree.c.id)
    return ids, table.c.id.in_(ids)


def _refers(table: Table, name: str, ids: Select[Any] | None) -> ColumnElement[bool]:
    """Return the condition that a field has one of these ids; None stands for `of_id`."""
    column = table.c[name]
    return column == bindparam("of_id", type_=column.type) if ids is None else column.in_(ids)


def _references(
    target: str, all_of_them: Iterable[ResourceStatements]
) -> Iterator[tuple[ResourceStatements, FieldSpec]]:
    """Yield the references to the rows of a table, with those to the owner."""
    for each in all_of_them:
        if target == "users" and each.spec.owned:
            yield each, _OWNER
        for field in each.spec.references:
            if field.target == target:
                yield each, field


_OWNER = FieldSpec(
    name="owner_id", column="owner_id", kind="reference", target="users", on_delete="cascade"
)


def resource_tables(specs: Sequence[ResourceSpec]) -> dict[str, Table]:
    """Return the tables of declared resources, in metadata of their own, and that of items."""
    metadata = MetaData(naming_convention=METADATA.naming_convention)
    declared = [spec for spec in specs if spec.name != ITEMS.name]
    targets = {"users": USERS, "items": ITEMS}
    return {ITEMS.name: ITEMS, **{spec.name: table_of(spec, metadata, targets) for spec in declared}}


def resource_statements(specs: Sequence[ResourceSpec]) -> dict[str, ResourceStatements]:
    """Return the statements of each resource by name."""
    tables = resource_tables(specs)
    found = {spec.name: ResourceStatements(spec, tables[spec.name]) for spec in specs}
    for each in found.values():
        each.connect(found)
    return found
