"""Compares what is declared with what the revisions add up to: the operations of the next revision."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from backends.models.resources import FieldSpec, ResourceSpec
from backends.models.resources.checks import in_order
from migrations import MigrationError
from migrations.resources.constraint_operations import (
    AddChoice,
    AddMarkers,
    AddOwner,
    AddUnique,
    ChangeReference,
    DropOwner,
    DropUnique,
    MarkerName,
    RemoveChoice,
    RemoveMarkers,
)
from migrations.resources.field_operations import (
    BOUNDS,
    AddField,
    ChangeBounds,
    DropField,
    MakeOptional,
    MakeRequired,
    RenameField,
)
from migrations.resources.history import History
from migrations.resources.operations import AddResource, DropResource, Operation

_FIXED = ("kind", "decimal_places", "target")
"""The attributes of a field that no operation changes: each value would have to be another one."""

_MARKERS: tuple[MarkerName, ...] = ("sortable", "filterable", "searchable")


@dataclass(frozen=True, slots=True)
class Given:
    """What the declaration does not say, and the author of a revision does.

    Attributes:
        drops: What may be dropped: `books`, `books.subtitle`, `books.owner_id`.
        values: The values that existing rows get, in JSON types, by `books.shelf`.
    """

    drops: Collection[str] = ()
    values: Mapping[str, Any] = field(default_factory=dict)


NOTHING_GIVEN = Given()


def changes_of(history: History, given: Given = NOTHING_GIVEN) -> list[Operation]:
    """Return the operations that the next revision needs; none if the declaration has not changed.

    Raises:
        MigrationError: A change is ambiguous or loses data, and `given` does not decide it; or no operation
            makes it. The message says what to write.
    """
    state = history.state
    declared = {spec.name: spec for spec in history.declared}
    found: list[Operation] = []
    for spec in in_order(history.declared):
        if spec.name in state:
            found += _Difference(state[spec.name], spec, given).operations()
        else:
            found.append(AddResource(spec))
    for spec in reversed(in_order([spec for name, spec in state.items() if name not in declared])):
        _require_drop(given, spec.name, f"{spec.class_name} is not declared any more", "declare it again")
        found.append(DropResource(spec.name))
    _check_given(given, found)
    return found


def _require_drop(given: Given, name: str, problem: str, otherwise: str) -> None:
    if name not in given.drops:
        raise MigrationError(
            f"{problem}: {otherwise}, or write its removal with `eitherdb migrate revision -m … --drop "
            f"{name}`"
        )


def _check_given(given: Given, found: Collection[Operation]) -> None:
    """Refuse what nothing in the revision needs: probably a name is wrong."""
    needed = {name for operation in found for name in _names(operation)}
    if unknown := sorted({*given.drops, *given.values} - needed):
        raise MigrationError(f"--drop and --value: nothing in this revision is about {', '.join(unknown)}")


def _names(operation: Operation) -> Iterator[str]:
    if isinstance(operation, DropResource | DropOwner | AddOwner):
        yield (
            operation.resource if isinstance(operation, DropResource) else f"{operation.resource}.owner_id"
        )
    elif isinstance(operation, DropField | MakeRequired):
        yield f"{operation.resource}.{operation.field}"
    elif isinstance(operation, AddField):
        yield f"{operation.resource}.{operation.field.name}"


class _Difference:
    """The operations between two specifications of a resource, in an order in which each is possible.

    Fields are the same if their columns are: a renamed field keeps its column.
    """

    def __init__(self, before: ResourceSpec, after: ResourceSpec, given: Given) -> None:
        self._before, self._after, self._given = before, after, given
        self._resource = after.name
        self._old = {each.column: each for each in before.fields}
        self._new = {each.column: each for each in after.fields}
        self._old_groups = {frozenset(_columns(before, group)): group for group in before.unique}
        self._new_groups = {frozenset(_columns(after, group)): group for group in after.unique}

    def operations(self) -> Iterator[Operation]:
        yield from self._dropped_groups()
        for column, was in self._old.items():
            if column in self._new and was.name != self._new[column].name:
                yield RenameField(self._resource, was.name, self._new[column].name)
        if self._after.owned and not self._before.owned:
            yield AddOwner(self._resource, self._given.values.get(f"{self._resource}.owner_id"))
        for column, field_ in self._new.items():
            if column not in self._old:
                _check_column(self._before, field_)
                yield AddField(self._resource, field_, _value_of(self._resource, field_, self._given))
            else:
                yield from _changes_of_field(self._resource, self._old[column], field_, self._given)
        yield from self._added_groups()
        yield from self._dropped()

    def _dropped_groups(self) -> Iterator[Operation]:
        for columns, group in self._old_groups.items():
            goes_with_its_field = len(group) == 1 and not columns <= self._new.keys() | {"owner_id"}
            if columns not in self._new_groups and not goes_with_its_field:
                yield DropUnique(self._resource, group)

    def _added_groups(self) -> Iterator[Operation]:
        for columns, group in self._new_groups.items():
            comes_with_its_field = len(group) == 1 and not columns <= self._old.keys() | {"owner_id"}
            if columns not in self._old_groups and not comes_with_its_field:
                yield AddUnique(self._resource, group)

    def _dropped(self) -> Iterator[Operation]:
        class_name = self._after.class_name
        if self._before.owned and not self._after.owned:
            name = f"{self._resource}.owner_id"
            _require_drop(self._given, name, f"{class_name} has no owner any more", "write owned=True")
            yield DropOwner(self._resource)
        for column, was in self._old.items():
            if column not in self._new:
                name, problem = (
                    f"{self._resource}.{was.name}",
                    f"{class_name}.{was.name} is not declared any more",
                )
                hint = f'give RenamedFrom("{was.name}") to the field that has its values now'
                _require_drop(self._given, name, problem, hint)
                yield DropField(self._resource, was.name)


def _columns(spec: ResourceSpec, group: Collection[str]) -> list[str]:
    return [spec.by_name[name].column if name in spec.by_name else name for name in group]


def _check_column(before: ResourceSpec, added: FieldSpec) -> None:
    """Refuse a field whose marker `RenamedFrom` was taken away."""
    was = before.by_name.get(added.name)
    if was is not None:
        raise MigrationError(
            f"{before.class_name}.{added.name} has the column {was.column}: write "
            f'RenamedFrom("{was.column}") as before'
        )


def _value_of(resource: str, added: FieldSpec, given: Given) -> Any:
    """Return the value that existing rows get in a new field."""
    name = f"{resource}.{added.name}"
    if name in given.values:
        return given.values[name]
    if added.nullable or added.unique:
        return None
    if added.default is None:
        raise MigrationError(
            f"{name} is new and never null, and existing rows need a value: let it have a default or be "
            f"`| None`, or give one with `--value {name}=…`, in JSON"
        )
    return added.default


def _changes_of_field(resource: str, was: FieldSpec, now: FieldSpec, given: Given) -> Iterator[Operation]:
    name = f"{resource}.{now.name}"
    for attribute in _FIXED:
        if getattr(was, attribute) != getattr(now, attribute):
            raise MigrationError(
                f"{attribute} of {name} was {getattr(was, attribute)} and is {getattr(now, attribute)}, "
                "and no operation changes that: add a field of another name, fill it with Run(…), and drop "
                f"{now.name} in a later revision"
            )
    if now.nullable and not was.nullable:
        yield MakeOptional(resource, now.name)
    changed = {each: getattr(now, each) for each in BOUNDS if getattr(was, each) != getattr(now, each)}
    if now.kind == "choice":
        changed = {}
        yield from (AddChoice(resource, now.name, each) for each in now.choices if each not in was.choices)
        yield from (
            RemoveChoice(resource, now.name, each) for each in was.choices if each not in now.choices
        )
    if changed:
        yield ChangeBounds(resource, now.name, **changed)
    if now.on_delete is not None and was.on_delete != now.on_delete:
        yield ChangeReference(resource, now.name, now.on_delete)
    if was.nullable and not now.nullable:
        value = given.values.get(name, None if now.unique else now.default)
        yield MakeRequired(resource, now.name, value)
    if gone := tuple(each for each in _MARKERS if getattr(was, each) and not getattr(now, each)):
        yield RemoveMarkers(resource, now.name, gone)
    if new := tuple(each for each in _MARKERS if getattr(now, each) and not getattr(was, each)):
        yield AddMarkers(resource, now.name, new)
