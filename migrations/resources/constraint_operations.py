"""The operations on choices, markers, unique groups, references and owners."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, TypeAlias

from backends.models.resources import FieldSpec, OnDelete
from migrations.resources.operations import (
    Fill,
    Harmless,
    Rule,
    State,
    field_of,
    spec_of,
    with_field,
    with_spec,
)

MarkerName: TypeAlias = Literal["sortable", "filterable", "searchable"]


def _with_choices(state: State, resource: str, field: FieldSpec, choices: tuple[str, ...]) -> State:
    return with_field(state, resource, replace(field, choices=choices, max_length=max(map(len, choices))))


@dataclass(frozen=True, slots=True)
class AddChoice(Harmless):
    """Adds a choice."""

    resource: str
    field: str
    choice: str

    def after(self, state: State) -> State:
        """See `Operation`."""
        field = field_of(state, self.resource, self.field)
        if field.kind != "choice" or self.choice in field.choices:
            problem = "has no choices" if field.kind != "choice" else f"has {self.choice!r} already"
            raise ValueError(f"{self.resource}.{self.field} {problem}")
        return _with_choices(state, self.resource, field, (*field.choices, self.choice))

    def undone(self, before: State) -> RemoveChoice:
        """See `Operation`."""
        del before
        return RemoveChoice(self.resource, self.field, self.choice)


@dataclass(frozen=True, slots=True)
class RemoveChoice(Harmless):
    """Removes a choice.

    Attributes:
        resource: The name of the resource.
        field: The name of the field.
        choice: The choice.
        instead: The choice that rows get that have the removed one. None: there must be no such row.
    """

    resource: str
    field: str
    choice: str
    instead: str | None = None

    def after(self, state: State) -> State:
        """See `Operation`."""
        spec, field = spec_of(state, self.resource), field_of(state, self.resource, self.field)
        place = f"{self.resource}.{self.field}"
        left = tuple(each for each in field.choices if each != self.choice)
        if left == field.choices:
            has = ", ".join(field.choices) or "none"
            raise ValueError(f"{place} has no choice {self.choice!r}; it has: {has}")
        if not left:
            raise ValueError(f"{self.choice!r} is the last choice of {place}: drop the field")
        if self.instead is not None and self.instead not in left:
            raise ValueError(f"{place} has no other choice {self.instead!r}; it has: {', '.join(left)}")
        if self.instead is not None and any(self.field in group for group in spec.unique):
            raise ValueError(f"{place} is unique, so that rows can't get another choice: leave instead out")
        return _with_choices(state, self.resource, field, left)

    def undone(self, before: State) -> AddChoice:
        """See `Operation`."""
        del before
        return AddChoice(self.resource, self.field, self.choice)

    def fills(self) -> tuple[Fill, ...]:
        """See `Operation`."""
        if self.instead is None:
            return ()
        return (Fill(self.resource, self.field, self.instead, self.choice),)

    def rules(self) -> tuple[Rule, ...]:
        """See `Operation`."""
        if self.instead is not None:
            return ()
        return (Rule(self.resource, "choice", (self.field,), self.choice),)


@dataclass(frozen=True, slots=True)
class AddMarkers(Harmless):
    """Lets lists be sorted, filtered or searched by a field."""

    resource: str
    field: str
    markers: tuple[MarkerName, ...]

    def after(self, state: State) -> State:
        """See `Operation`."""
        return _marked(state, self.resource, self.field, self.markers, is_marked=True)

    def undone(self, before: State) -> RemoveMarkers:
        """See `Operation`."""
        del before
        return RemoveMarkers(self.resource, self.field, self.markers)


@dataclass(frozen=True, slots=True)
class RemoveMarkers(Harmless):
    """Undoes `AddMarkers`. No value is lost."""

    resource: str
    field: str
    markers: tuple[MarkerName, ...]

    def after(self, state: State) -> State:
        """See `Operation`."""
        return _marked(state, self.resource, self.field, self.markers, is_marked=False)

    def undone(self, before: State) -> AddMarkers:
        """See `Operation`."""
        del before
        return AddMarkers(self.resource, self.field, self.markers)


def _marked(
    state: State, resource: str, name: str, markers: Sequence[MarkerName], *, is_marked: bool
) -> State:
    field = field_of(state, resource, name)
    for marker in markers:
        if getattr(field, marker) == is_marked:
            raise ValueError(f"{resource}.{name} is {'' if is_marked else 'not '}{marker} already")
    changes: dict[str, Any] = dict.fromkeys(markers, is_marked)
    return with_field(state, resource, replace(field, **changes))


@dataclass(frozen=True, slots=True)
class AddUnique(Harmless):
    """Lets no two rows have the same values in these fields, rows with a null in one of them aside."""

    resource: str
    fields: tuple[str, ...]

    def after(self, state: State) -> State:
        """See `Operation`."""
        spec = spec_of(state, self.resource)
        if any(set(group) == set(self.fields) for group in spec.unique):
            raise ValueError(f"{self.resource} has the unique group {self.fields} already")
        for name in self.fields:
            if name != "owner_id" or not spec.owned:
                field_of(state, self.resource, name)
        added = with_spec(state, replace(spec, unique=(*spec.unique, self.fields)))
        return _flagged(added, self.resource, self.fields, is_unique=True)

    def undone(self, before: State) -> DropUnique:
        """See `Operation`."""
        del before
        return DropUnique(self.resource, self.fields)

    def rules(self) -> tuple[Rule, ...]:
        """See `Operation`."""
        return (Rule(self.resource, "unique", self.fields),)


@dataclass(frozen=True, slots=True)
class DropUnique(Harmless):
    """Undoes `AddUnique`. No value is lost."""

    resource: str
    fields: tuple[str, ...]

    def after(self, state: State) -> State:
        """See `Operation`."""
        spec = spec_of(state, self.resource)
        left = tuple(group for group in spec.unique if set(group) != set(self.fields))
        if left == spec.unique:
            has = ", ".join(map(str, spec.unique)) or "none"
            raise ValueError(f"{self.resource} has no unique group {self.fields}; it has: {has}")
        dropped = with_spec(state, replace(spec, unique=left))
        return _flagged(dropped, self.resource, self.fields, is_unique=False)

    def undone(self, before: State) -> AddUnique:
        """See `Operation`."""
        group = next(each for each in before[self.resource].unique if set(each) == set(self.fields))
        return AddUnique(self.resource, group)


def _flagged(state: State, resource: str, group: Sequence[str], *, is_unique: bool) -> State:
    """Return the state with the flag of a field that is a group by itself."""
    if len(group) > 1 or group[0] == "owner_id":
        return state
    return with_field(state, resource, replace(field_of(state, resource, group[0]), unique=is_unique))


@dataclass(frozen=True, slots=True)
class ChangeReference(Harmless):
    """Changes what becomes of a row when the row that it refers to is deleted."""

    resource: str
    field: str
    on_delete: OnDelete

    def after(self, state: State) -> State:
        """See `Operation`."""
        field, place = field_of(state, self.resource, self.field), f"{self.resource}.{self.field}"
        if field.kind != "reference" or field.on_delete == self.on_delete:
            problem = "is no reference" if field.kind != "reference" else f"has {self.on_delete} already"
            raise ValueError(f"{place} {problem}")
        if self.on_delete == "set_null" and not field.nullable:
            raise ValueError(f"{place} is never null: write MakeOptional before, or another on_delete")
        return with_field(state, self.resource, replace(field, on_delete=self.on_delete))

    def undone(self, before: State) -> ChangeReference:
        """See `Operation`."""
        on_delete = field_of(before, self.resource, self.field).on_delete
        return ChangeReference(self.resource, self.field, on_delete or "restrict")


@dataclass(frozen=True, slots=True)
class AddOwner(Harmless):
    """Lets each row belong to a user: `owned=True`.

    Attributes:
        resource: The name of the resource.
        owner: The email address of the user who gets the existing rows. None: there must be no row.
    """

    resource: str
    owner: str | None = None

    def after(self, state: State) -> State:
        """See `Operation`."""
        spec = spec_of(state, self.resource)
        if spec.owned:
            raise ValueError(f"the rows of {self.resource} have an owner already")
        return with_spec(state, replace(spec, owned=True))

    def undone(self, before: State) -> DropOwner:
        """See `Operation`."""
        del before
        return DropOwner(self.resource)

    def fills(self) -> tuple[Fill, ...]:
        """See `Operation`."""
        return () if self.owner is None else (Fill(self.resource, "owner_id", self.owner),)

    def rules(self) -> tuple[Rule, ...]:
        """See `Operation`."""
        return (Rule(self.resource, "empty"),) if self.owner is None else ()


@dataclass(frozen=True, slots=True)
class DropOwner(Harmless):
    """Lets rows belong to nobody: `owned=False`."""

    resource: str

    def after(self, state: State) -> State:
        """See `Operation`."""
        spec = spec_of(state, self.resource)
        if not spec.owned:
            raise ValueError(f"the rows of {self.resource} have no owner")
        for group in spec.unique:
            if "owner_id" in group:
                raise ValueError(
                    f"owner_id is in the unique group {group} of {self.resource}: write "
                    f"DropUnique({self.resource!r}, {group!r}) before"
                )
        return with_spec(state, replace(spec, owned=False))

    def undone(self, before: State) -> AddOwner:
        """See `Operation`."""
        del before
        return AddOwner(self.resource)

    def loses(self) -> str:
        """See `Operation`."""
        return f"the owners of {self.resource}"
