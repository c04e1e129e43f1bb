"""The input models of a resource, derived from its class."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

from pydantic import create_model

from backends.models.input_models import InputModel, NotNull
from backends.models.resources.filters import filter_fields
from backends.models.times import TimeAfter, TimeBefore

if TYPE_CHECKING:
    from backends.models.resources.declaration import Resource


def changes_form(cls: type[Resource], name: str) -> type[Any]:
    """Return the input model of `update`: the fields that clients may change, all optional.

    An unset field keeps its value. The validators of the class itself are not among those of the form,
    because they may need the whole row: see `ResourceSpec.has_rules`.
    """
    fields: dict[str, Any] = {}
    for field in cls.__resource__.fields:
        if field.read_only or field.immutable:
            continue
        annotation: Any = cls.__pydantic_fields__[field.name].annotation
        optional = annotation if field.nullable else Annotated[annotation | None, NotNull]
        fields[field.name] = (optional, None)
    form: type[Any] = create_model(name, __base__=InputModel, __module__=cls.__module__, **fields)
    return form


def filter_form(cls: type[Resource], name: str) -> type[Any]:
    """Return the input model of the filters of a list. A row must match every filter that is not None."""
    fields = filter_fields(cls.__resource__)
    fields |= {"created_after": (TimeAfter | None, None), "created_before": (TimeBefore | None, None)}
    form: type[Any] = create_model(name, __base__=InputModel, __module__=cls.__module__, **fields)
    return form
