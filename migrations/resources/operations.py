"""The operations of revisions: data that says how the declared resources change.

The state is the specification of each resource by name. Each operation maps a state to the next one. What a
database does follows by rule from the two states: the migrators compare the tables or collections of both.
An operation says besides what the states don't: the values that rows get (`fills`), the rows that must not
exist (`rules`), and what is lost (`loses`).

An operation that the state refuses is an error of the revision's author, whatever the database.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal, Protocol, TypeAlias

from backends.models.resources import FieldSpec, ResourceSpec

State: TypeAlias = Mapping[str, ResourceSpec]
"""The specifications by name, in the order in which they were added."""


@dataclass(frozen=True, slots=True)
class Fill:
    """Gives a value to rows.

    Attributes:
        resource: The name of the resource.
        field: The name of the field in the state after the operation; `owner_id` too.
        value: The value in JSON types; None is null. Of `owner_id`, the email address of the owner.
        instead_of: The choice that it replaces. None stands for null, and for no value in a new field.
    """

    resource: str
    field: str
    value: Any
    instead_of: str | None = None


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule that existing rows must follow before anything changes; rows that a `Fill` changes are exempt.

    Attributes:
        resource: The name of the resource.
        kind: `bounds`: the values of the field are within the bounds that it has after the operation.
            `choice`: no row has this choice. `not_null`: no row has null. `unique`: no two rows have the
            same values in these fields, rows with a null in one of them aside. `empty`: there are no rows.
        fields: The names of the fields in the state after the operation; `owner_id` too.
        choice: The choice.
    """

    resource: str
    kind: Literal["bounds", "choice", "not_null", "unique", "empty"]
    fields: tuple[str, ...] = ()
    choice: str | None = None


class Operation(Protocol):
    """A step of a revision."""

    def after(self, state: State) -> State:
        """Return the state after the operation.

        Raises:
            ValueError: The state refuses the operation; the message says why and what would be right.
        """
        ...

    def undone(self, before: State) -> Operation:
        """Return the operation from the state after this one back to `before`.

        Raises:
            ValueError: It can't be undone; the message says why.
        """
        ...

    def fills(self) -> tuple[Fill, ...]:
        """Return the values that rows get."""
        ...

    def rules(self) -> tuple[Rule, ...]:
        """Return the rules that existing rows must follow."""
        ...

    def loses(self) -> str | None:
        """Return what is lost, such as `the values of books.subtitle`; None if nothing is."""
        ...


class Harmless:
    """The base class of operations: most need nothing of the rows, and lose nothing."""

    __slots__ = ()

    def fills(self) -> tuple[Fill, ...]:
        """See `Operation`."""
        return ()

    def rules(self) -> tuple[Rule, ...]:
        """See `Operation`."""
        return ()

    def loses(self) -> str | None:
        """See `Operation`."""
        return None


def spec_of(state: State, resource: str) -> ResourceSpec:
    """Return the specification of a resource.

    Raises:
        ValueError: There is none.
    """
    if resource not in state:
        raise ValueError(f"there is no resource {resource}; there are: {', '.join(state) or 'none'}")
    return state[resource]


def field_of(state: State, resource: str, name: str) -> FieldSpec:
    """Return the specification of a field.

    Raises:
        ValueError: There is none.
    """
    fields = spec_of(state, resource).by_name
    if name not in fields:
        raise ValueError(f"{resource} has no field {name}; it has: {', '.join(fields)}")
    return fields[name]


def with_spec(state: State, spec: ResourceSpec) -> State:
    """Return the state with another specification of a resource."""
    return {**state, spec.name: spec}


def with_field(state: State, resource: str, field: FieldSpec) -> State:
    """Return the state with another specification of the field with this column."""
    spec = spec_of(state, resource)
    fields = tuple(field if each.column == field.column else each for each in spec.fields)
    return with_spec(state, replace(spec, fields=fields))


@dataclass(frozen=True, slots=True)
class AddResource(Harmless):
    """Creates the table or collection of a resource, with its constraints and indexes."""

    spec: ResourceSpec

    def after(self, state: State) -> State:
        """See `Operation`."""
        if self.spec.name in state:
            raise ValueError(f"there is a resource {self.spec.name} already")
        return with_spec(state, self.spec)

    def undone(self, before: State) -> DropResource:
        """See `Operation`."""
        del before
        return DropResource(self.spec.name)


@dataclass(frozen=True, slots=True)
class DropResource(Harmless):
    """Drops the table or collection of a resource, with its rows."""

    resource: str

    def after(self, state: State) -> State:
        """See `Operation`."""
        spec_of(state, self.resource)
        for name, spec in state.items():
            for field in spec.references:
                if field.target == self.resource and name != self.resource:
                    raise ValueError(
                        f"{name}.{field.name} refers to {self.resource}: drop the field before, with "
                        f'DropField("{name}", "{field.name}")'
                    )
        return {name: spec for name, spec in state.items() if name != self.resource}

    def undone(self, before: State) -> AddResource:
        """See `Operation`."""
        return AddResource(spec_of(before, self.resource))

    def loses(self) -> str:
        """See `Operation`."""
        return f"the rows of {self.resource}"
