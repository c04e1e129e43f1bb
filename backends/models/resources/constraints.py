"""The types and constraints in an annotation: pydantic's, and those of annotated-types."""

from __future__ import annotations

import types
from collections.abc import Callable, Iterable, Sequence
from typing import Annotated, Any, Union, get_args, get_origin

from annotated_types import BaseMetadata, Ge, GroupedMetadata, Gt, Le, Lt, MaxLen, MinLen, MultipleOf
from pydantic.fields import FieldInfo

from backends.models.resources.errors import DeclarationError
from backends.models.resources.spec import Kind


def annotated(annotation: Any, metadata: Sequence[Any]) -> Any:
    """Return the annotation with metadata, of which there may be none."""
    return Annotated[annotation, *metadata] if metadata else annotation


def flatten(annotation: Any) -> tuple[Any, list[Any], bool]:
    """Return the type within `Annotated` and `| None`, all metadata, and whether null is a value."""
    if get_origin(annotation) is Annotated:
        inner, *metadata = get_args(annotation)
        found, deeper, nullable = flatten(inner)
        return found, [*deeper, *_ungrouped(metadata)], nullable
    if get_origin(annotation) in {Union, types.UnionType}:
        arms = [each for each in get_args(annotation) if each is not types.NoneType]
        if len(arms) == 1 and len(arms) < len(get_args(annotation)):
            found, metadata, _ = flatten(arms[0])
            return found, metadata, True
    return annotation, [], False


def _ungrouped(metadata: Sequence[Any]) -> list[Any]:
    """Resolve what stands for several constraints: `Field(...)`, `Interval(...)`."""
    found: list[Any] = []
    for each in metadata:
        if isinstance(each, FieldInfo):
            found += _ungrouped(each.metadata)
        elif isinstance(each, GroupedMetadata):
            found += each
        else:
            found.append(each)
    return found


class Constraints:
    """The constraints of a field, each read once. What is left when the kind is read does not fit it."""

    def __init__(self, place: str, metadata: Iterable[Any]) -> None:
        self._place = place
        self._values: dict[str, Any] = {}
        for each in metadata:
            if isinstance(each, Ge | Gt | Le | Lt | MinLen | MaxLen | MultipleOf):
                name = {MinLen: "min_length", MaxLen: "max_length", MultipleOf: "multiple_of"}.get(
                    type(each), type(each).__name__.lower()
                )
                self._values[name] = getattr(each, name)
            elif isinstance(each, BaseMetadata) or type(each).__name__ == "PydanticGeneralMetadata":
                self._values |= {name: value for name, value in vars(each).items() if value is not None}

    def take(self, name: str, default: Any = None) -> Any:
        """Return a constraint's value."""
        return self._values.pop(name, default)

    def convert(self, to_number: Callable[[Any], Any]) -> None:
        """Convert the bounds to the type of the field."""
        for name in self._values.keys() & {"ge", "gt", "le", "lt"}:
            self._values[name] = to_number(self._values[name])

    def check_empty(self, kind: Kind) -> None:
        """Raise for a constraint that the kind does not have."""
        for name in ("strict", "coerce_numbers_to_str", "allow_inf_nan"):
            self._values.pop(name, None)
        if self._values:
            name = next(iter(self._values))
            raise DeclarationError(
                self._place, f"{name} is no constraint of a {kind}", "write it as a field validator"
            )


def bounds_of(constraints: Constraints, *, step: Any) -> tuple[Any, Any]:
    """Return the least and the greatest value; an exclusive bound is one step further in."""
    least, above = constraints.take("ge"), constraints.take("gt")
    most, below = constraints.take("le"), constraints.take("lt")
    if above is not None:
        least = above + step if least is None else max(least, above + step)
    if below is not None:
        most = below - step if most is None else min(most, below - step)
    return least, most
