"""Compares what is declared with what the revisions add up to."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace

from backends.models.resources import FieldSpec, ResourceSpec
from backends.models.resources.checks import in_order
from migrations import MigrationError
from migrations.resources.history import History
from migrations.resources.operations import AddResource, Operation

_STORED = frozenset(
    {
        *("column", "kind", "nullable", "min_length", "max_length", "minimum", "maximum", "choices"),
        *("max_digits", "decimal_places", "target", "on_delete", "item", "unique", "sortable"),
        *("filterable", "searchable"),
    }
)
"""The attributes of a field that decide what a database has. A change of the others needs no revision."""


@dataclass(frozen=True, slots=True)
class StoredForm:
    """What a database has of a resource: its columns, constraints and indexes."""

    fields: tuple[FieldSpec, ...]
    unique: frozenset[tuple[str, ...]]
    owned: bool


def stored_form(spec: ResourceSpec) -> StoredForm:
    """Return what a database has of the resource, without what only the API and the class know."""
    columns = {field.name: field.column for field in spec.fields}
    groups = (tuple(columns.get(name, name) for name in group) for group in spec.unique)
    return StoredForm(tuple(map(_stored_field, spec.fields)), frozenset(groups), spec.owned)


def changes_of(history: History) -> list[Operation]:
    """Return the operations that the next revision needs; none if the declaration has not changed.

    Raises:
        MigrationError: A resource changed in a way for which there is no operation.
    """
    state = history.state
    declared = {spec.name: spec for spec in history.declared}
    for name, spec in state.items():
        if name not in declared:
            raise MigrationError(
                f"{spec.class_name} is not declared any more: declare it again, or undo its revision with "
                f"`eitherdb migrate downgrade {_before(history, name)}` and delete the file"
            )
        if difference := _difference(spec, declared[name]):
            raise MigrationError(
                f"{spec.class_name} has changed since its revision ({difference}): a revision can add "
                "resources only; declare it as it was, or undo its revision with "
                f"`eitherdb migrate downgrade {_before(history, name)}`, which loses its rows, delete the "
                "file and write it again"
            )
    return [AddResource(spec) for spec in in_order(history.declared) if spec.name not in state]


def _before(history: History, name: str) -> str:
    """Return the target of a downgrade that undoes the revision which adds a resource."""
    index = next(index for index, each in enumerate(history.revisions) if name in each.added)
    return f"{history.name}:{history.revisions[index - 1].number if index else 'base'}"


def _difference(before: ResourceSpec, after: ResourceSpec) -> str | None:
    """Return the first difference between the stored forms."""
    old, new = stored_form(before), stored_form(after)
    if old == new:
        return None
    old_fields = {field.column: field for field in old.fields}
    new_fields = {field.column: field for field in new.fields}
    for column in dict.fromkeys([*old_fields, *new_fields]):
        if column not in new_fields or column not in old_fields:
            return f"the field {column} is {'new' if column in new_fields else 'gone'}"
        was, is_now = old_fields[column], new_fields[column]
        for name in sorted(_STORED):
            if getattr(was, name) != getattr(is_now, name):
                return f"{name} of {column} was {getattr(was, name)!r} and is {getattr(is_now, name)!r}"
    if old.owned != new.owned:
        return f"owned was {old.owned} and is {new.owned}"
    return "the unique groups are others" if old.unique != new.unique else "the fields have another order"


def _stored_field(field: FieldSpec) -> FieldSpec:
    empty = FieldSpec(name="", column=field.column, kind=field.kind)
    values = {each.name: getattr(field, each.name) for each in fields(field) if each.name in _STORED}
    item = None if field.item is None else _stored_field(field.item)
    return replace(empty, **{**values, "item": item})
