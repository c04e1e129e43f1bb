"""Compares what is declared with what the revisions add up to: the operations of the next revision."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from backends.models.resources import FieldSpec, ResourceSpec
from backends.models.resources.checks import in_order
from migrations import MigrationError
from migrations.resources.checks import apply_all
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
from migrations.resources.values import canonical

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
    declared = in_order(history.declared)
    # A field may refer to a new resource, which may refer to an older one.
    found: list[Operation] = [AddResource(spec) for spec in declared if spec.name not in state]
    for spec in declared:
        if spec.name in state:
            found += _Difference(state[spec.name], spec, given).operations()
    names = {spec.name for spec in declared}
    found += _dropped_resources([spec for name, spec in state.items() if name not in names], given)
    _check_given(given, found)
    try:
        apply_all(found, state)
    except ValueError as exc:
        raise MigrationError(str(exc)) from exc
    return found


def _dropped_resources(specs: Sequence[ResourceSpec], given: Given) -> Iterator[Operation]:
    left = {spec.name for spec in specs}
    for spec in reversed(in_order(specs)):
        _require_drop(given, spec.name, f"{spec.class_name} is not declared any more", "declare it again")
        # Those that refer to it are gone, but for those of a circle.
        left.remove(spec.name)
        for other in specs:
            if other.name in left:
                yield from (
                    DropField(other.name, each.name)
                    for each in other.references
                    if each.target == spec.name
                )
        yield DropResource(spec.name)


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
    if isinstance(operation, DropResource):
        yield operation.resource
    elif isinstance(operation, DropOwner | AddOwner):
        yield f"{operation.resource}.owner_id"
    elif isinstance(operation, DropField | MakeRequired | RemoveChoice):
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
        drops = [*self._dropped_fields()]
        taken = {each.name for each in self._after.fields}
        yield from self._dropped_groups()
        yield from (each for each in drops if each.field in taken)
        yield from self._renames({each.field for each in drops})
        if self._after.owned and not self._before.owned:
            yield AddOwner(self._resource, self._given.values.get(f"{self._resource}.owner_id"))
        for column, field_ in self._new.items():
            if column in self._old:
                yield from _changes_of_field(self._after, self._old[column], field_, self._given)
            else:
                yield AddField(self._resource, field_, _value_of(self._resource, field_, self._given))
        yield from self._added_groups()
        if self._before.owned and not self._after.owned:
            problem = f"{self._after.class_name} has no owner any more"
            _require_drop(self._given, f"{self._resource}.owner_id", problem, "write owned=True")
            yield DropOwner(self._resource)
        yield from (each for each in drops if each.field not in taken)

    def _renames(self, dropped: Collection[str]) -> Iterator[RenameField]:
        """Yield the renames, each to a name that is free by then; two names may be exchanged."""
        left = {
            was.name: self._new[column].name
            for column, was in self._old.items()
            if column in self._new and was.name != self._new[column].name
        }
        taken = self._before.by_name.keys() - dropped
        while left:
            name = next((each for each, to in left.items() if to not in taken), None)
            if name is None:
                name, to = next(iter(left.items()))
                meanwhile = f"{name}_before"
                left[meanwhile] = left.pop(name)
                to = meanwhile
            else:
                to = left.pop(name)
            taken = taken - {name} | {to}
            yield RenameField(self._resource, name, to)

    def _dropped_groups(self) -> Iterator[Operation]:
        for columns, group in self._old_groups.items():
            goes_with_its_field = len(group) == 1 and not columns <= self._new.keys() | {"owner_id"}
            if columns not in self._new_groups and not goes_with_its_field:
                yield DropUnique(self._resource, group)

    def _added_groups(self) -> Iterator[Operation]:
        for columns, group in self._new_groups.items():
            comes_with_its_field = (
                len(group) == 1
                and not columns <= self._old.keys() | {"owner_id"}
                and self._after.by_name[group[0]].unique
            )
            if columns not in self._old_groups and not comes_with_its_field:
                yield AddUnique(self._resource, group)

    def _dropped_fields(self) -> Iterator[DropField]:
        for column, was in self._old.items():
            if column in self._new:
                continue
            names = ", ".join(f'"{name}"' for name in dict.fromkeys([was.column, was.name]))
            hint = f"give RenamedFrom({names}) to the field that has its values now"
            problem = f"{self._after.class_name}.{was.name} is not declared any more"
            if was.name in self._after.by_name:
                problem = f"{self._after.class_name}.{was.name} has another column"
                hint = (
                    f'write RenamedFrom("{was.column}"), as before'
                    if was.column != was.name
                    else "leave RenamedFrom(…) out, as before"
                )
            _require_drop(self._given, f"{self._resource}.{was.name}", problem, hint)
            yield DropField(self._resource, was.name)


def _columns(spec: ResourceSpec, group: Collection[str]) -> list[str]:
    return [spec.by_name[name].column if name in spec.by_name else name for name in group]


def _value_of(resource: str, added: FieldSpec, given: Given) -> Any:
    """Return the value that existing rows get in a new field."""
    name = f"{resource}.{added.name}"
    if added.unique and not added.nullable:
        raise MigrationError(
            f"{name} is new, unique and never null, and each existing row needs another value: let it be "
            "`| None`, fill it with Run(…) in the next revision, and let it never be null after that"
        )
    if name in given.values:
        return _canonical(name, added, given.values[name])
    if added.unique or (added.default is None and added.nullable):
        return None
    if added.default is None:
        raise MigrationError(
            f"{name} is new and never null, and existing rows need a value: let it have a default or be "
            f"`| None`, or give one in JSON with `eitherdb migrate revision -m … --value {name}=…`"
        )
    return added.default


def _canonical(name: str, field_: FieldSpec, value: Any) -> Any:
    try:
        return canonical(f"--value {name}", field_, value)
    except ValueError as exc:
        raise MigrationError(str(exc)) from exc


def _changes_of_field(
    spec: ResourceSpec, was: FieldSpec, now: FieldSpec, given: Given
) -> Iterator[Operation]:
    resource, name = spec.name, f"{spec.name}.{now.name}"
    _require_same_kind(name, was, now)
    if gone := tuple(each for each in _MARKERS if getattr(was, each) and not getattr(now, each)):
        yield RemoveMarkers(resource, now.name, gone)
    if now.nullable and not was.nullable:
        yield MakeOptional(resource, now.name)
    value = _canonical(name, now, given.values[name]) if name in given.values else None
    if now.kind == "choice":
        yield from (AddChoice(resource, now.name, each) for each in now.choices if each not in was.choices)
        yield from (
            RemoveChoice(resource, now.name, each, value) for each in was.choices if each not in now.choices
        )
    elif changed := {
        each: getattr(now, each)
        for each in BOUNDS
        if _stored(getattr(was, each)) != _stored(getattr(now, each))
    }:
        yield ChangeBounds(resource, now.name, **changed)
    if now.on_delete is not None and was.on_delete != now.on_delete:
        yield ChangeReference(resource, now.name, now.on_delete)
    if was.nullable and not now.nullable:
        is_in_group = any(now.name in group for group in spec.unique)
        yield MakeRequired(resource, now.name, now.default if value is None and not is_in_group else value)
    if new := tuple(each for each in _MARKERS if getattr(now, each) and not getattr(was, each)):
        yield AddMarkers(resource, now.name, new)


def _require_same_kind(name: str, was: FieldSpec, now: FieldSpec) -> None:
    for attribute in _FIXED:
        if getattr(was, attribute) != getattr(now, attribute):
            raise MigrationError(
                f"{attribute} of {name} was {getattr(was, attribute)} and is {getattr(now, attribute)}, "
                "and no operation changes that: add a field of another name, fill it with Run(…) in the "
                f"next revision, and drop {now.name} in the one after"
            )
    if was.item is not None and now.item is not None:
        _require_same_kind(f"the elements of {name}", was.item, now.item)


def _stored(bound: Any) -> Any:
    """Return a bound as far as a database stores it: not the pattern of elements."""
    if isinstance(bound, FieldSpec):
        lengths = (bound.min_length, bound.max_length)
        return (bound.kind, lengths, bound.minimum, bound.maximum, frozenset(bound.choices))
    return bound
