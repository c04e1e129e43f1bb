"""The operations on the fields of a resource: adding, dropping, renaming, bounds, null."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Final

from backends.models.resources import FieldSpec
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
from migrations.resources.values import require_stored


class _Unchanged:
    def __repr__(self) -> str:
        return "UNCHANGED"

    def __reduce__(self) -> str:
        return "UNCHANGED"  # a copy is the same object, which is compared by identity


UNCHANGED: Any = _Unchanged()
"""The value of a bound that `ChangeBounds` leaves alone. None is no bound."""

BOUNDS: Final = ("min_length", "max_length", "minimum", "maximum", "max_digits", "item")
"""The attributes of a field that `ChangeBounds` changes."""

_ORDERED = ("minimum", "maximum")
BOUNDS_OF: Final = {
    "text": ("min_length", "max_length"),
    "integer": _ORDERED,
    "decimal": ("max_digits", *_ORDERED),
    "float": _ORDERED,
    "time": _ORDERED,
    "date": _ORDERED,
    "list": ("min_length", "max_length", "item"),
}
"""Those that a kind of field has."""


@dataclass(frozen=True, slots=True)
class AddField(Harmless):
    """Adds a field.

    Attributes:
        resource: The name of the resource.
        field: The field.
        value: The value that existing rows get, in JSON types; None is null.
    """

    resource: str
    field: FieldSpec
    value: Any = None

    def after(self, state: State) -> State:
        """See `Operation`."""
        spec, field = spec_of(state, self.resource), self.field
        place = f"{self.resource}.{field.name}"
        if field.name in spec.by_name:
            raise ValueError(f"there is a field {place} already")
        if any(each.column == field.column for each in spec.fields):
            raise ValueError(f"{place}: another field of {self.resource} has the column {field.column}")
        if field.unique and (self.value is not None or not field.nullable):
            raise ValueError(
                f"{place} is unique, so that existing rows can't all get one value: let it be `| None` "
                "first"
            )
        if self.value is None and not field.nullable:
            raise ValueError(f"{place} is never null: give the value that existing rows get, as value=…")
        require_stored(place, field, self.value)
        unique = (*spec.unique, (field.name,)) if field.unique else spec.unique
        return with_spec(state, replace(spec, fields=(*spec.fields, field), unique=unique))

    def undone(self, before: State) -> DropField:
        """See `Operation`."""
        del before
        return DropField(self.resource, self.field.name)

    def fills(self) -> tuple[Fill, ...]:
        """See `Operation`."""
        return (Fill(self.resource, self.field.name, self.value),)


@dataclass(frozen=True, slots=True)
class DropField(Harmless):
    """Drops a field with its values."""

    resource: str
    field: str

    def after(self, state: State) -> State:
        """See `Operation`."""
        spec = spec_of(state, self.resource)
        field_of(state, self.resource, self.field)
        for group in spec.unique:
            if self.field in group and len(group) > 1:
                raise ValueError(
                    f"{self.resource}.{self.field} is in the unique group {group}: write "
                    f"DropUnique({self.resource!r}, {group!r}) before"
                )
        if len(spec.fields) == 1:
            raise ValueError(f"{self.resource} has no other field: write DropResource({self.resource!r})")
        fields = tuple(each for each in spec.fields if each.name != self.field)
        unique = tuple(group for group in spec.unique if group != (self.field,))
        return with_spec(state, replace(spec, fields=fields, unique=unique))

    def undone(self, before: State) -> AddField:
        """See `Operation`."""
        field = field_of(before, self.resource, self.field)
        if not field.nullable and (field.default is None or field.unique):
            raise ValueError(
                f"the values of {self.resource}.{self.field} are lost, and a row can't be without one"
            )
        return AddField(self.resource, field, None if field.nullable else field.default)

    def loses(self) -> str:
        """See `Operation`."""
        return f"the values of {self.resource}.{self.field}"


@dataclass(frozen=True, slots=True)
class RenameField(Harmless):
    """Gives a field another name in the API. Its column keeps its name, so the database does nothing."""

    resource: str
    field: str
    to: str

    def after(self, state: State) -> State:
        """See `Operation`."""
        spec, field = spec_of(state, self.resource), field_of(state, self.resource, self.field)
        if self.to in spec.by_name:
            raise ValueError(f"there is a field {self.resource}.{self.to} already")
        renamed = with_field(state, self.resource, replace(field, name=self.to))
        unique = tuple(
            tuple(self.to if name == self.field else name for name in group) for group in spec.unique
        )
        return with_spec(renamed, replace(renamed[self.resource], unique=unique))

    def undone(self, before: State) -> RenameField:
        """See `Operation`."""
        del before
        return RenameField(self.resource, self.to, self.field)


@dataclass(frozen=True, slots=True)
class ChangeBounds(Harmless):
    """Changes the bounds of a field's values; see `FieldSpec`. A bound that is not given stays."""

    resource: str
    field: str
    min_length: int = UNCHANGED
    max_length: int | None = UNCHANGED
    minimum: float | str | None = UNCHANGED
    maximum: float | str | None = UNCHANGED
    max_digits: int | None = UNCHANGED
    item: FieldSpec | None = UNCHANGED

    def _given(self) -> dict[str, Any]:
        given = {name: getattr(self, name) for name in BOUNDS}
        return {name: value for name, value in given.items() if value is not UNCHANGED}

    def after(self, state: State) -> State:
        """See `Operation`."""
        field, given = field_of(state, self.resource, self.field), self._given()
        has = BOUNDS_OF.get(field.kind, ())
        for name, value in given.items():
            if name not in has:
                valid = f"it has: {', '.join(has)}" if has else "it has no bounds"
                raise ValueError(
                    f"{self.resource}.{self.field}, of the kind {field.kind}, has no {name}; {valid}"
                )
            if value is None and (field.kind in {"integer", "decimal"} or name in {"max_length", "item"}):
                raise ValueError(f"{name} of {self.resource}.{self.field} can't be None: give a bound")
        item: FieldSpec | None = given.get("item")
        if item is not None and field.item is not None and item.kind != field.item.kind:
            raise ValueError(
                f"the elements of {self.resource}.{self.field} are of the kind {field.item.kind}, which no "
                "operation changes"
            )
        return with_field(state, self.resource, replace(field, **given))

    def undone(self, before: State) -> ChangeBounds:
        """See `Operation`."""
        field = field_of(before, self.resource, self.field)
        were = {name: getattr(field, name) for name in self._given()}
        return ChangeBounds(self.resource, self.field, **were)

    def rules(self) -> tuple[Rule, ...]:
        """See `Operation`."""
        return (Rule(self.resource, "bounds", (self.field,)),)


@dataclass(frozen=True, slots=True)
class MakeOptional(Harmless):
    """Lets a field be null."""

    resource: str
    field: str

    def after(self, state: State) -> State:
        """See `Operation`."""
        field = field_of(state, self.resource, self.field)
        if field.nullable:
            raise ValueError(f"{self.resource}.{self.field} may be null already")
        return with_field(state, self.resource, replace(field, nullable=True))

    def undone(self, before: State) -> MakeRequired:
        """See `Operation`."""
        field = field_of(before, self.resource, self.field)
        is_in_group = any(self.field in group for group in before[self.resource].unique)
        return MakeRequired(self.resource, self.field, None if is_in_group else field.default)


@dataclass(frozen=True, slots=True)
class MakeRequired(Harmless):
    """Lets a field never be null.

    Attributes:
        resource: The name of the resource.
        field: The name of the field.
        value: The value that rows with null get, in JSON types. None: there must be no such row.
    """

    resource: str
    field: str
    value: Any = None

    def after(self, state: State) -> State:
        """See `Operation`."""
        field, place = field_of(state, self.resource, self.field), f"{self.resource}.{self.field}"
        if not field.nullable:
            raise ValueError(f"{place} is never null already")
        if field.on_delete == "set_null":
            raise ValueError(
                f"{place} becomes null with on_delete=set_null: write ChangeReference before, with another"
            )
        if self.value is not None:
            groups = [group for group in state[self.resource].unique if self.field in group]
            if groups:
                raise ValueError(
                    f"{place} is in the unique group {groups[0]}, so that rows can't all get one value: "
                    "leave value out"
                )
            require_stored(place, field, self.value)
        return with_field(state, self.resource, replace(field, nullable=False))

    def undone(self, before: State) -> MakeOptional:
        """See `Operation`."""
        del before
        return MakeOptional(self.resource, self.field)

    def fills(self) -> tuple[Fill, ...]:
        """See `Operation`."""
        return () if self.value is None else (Fill(self.resource, self.field, self.value),)

    def rules(self) -> tuple[Rule, ...]:
        """See `Operation`."""
        return (Rule(self.resource, "not_null", (self.field,)),) if self.value is None else ()
