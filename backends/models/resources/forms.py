"""The input models of a resource, derived from its class."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import BaseModel, create_model

from backends.errors import RuleBroken
from backends.models.input_models import InputModel, NotNull
from backends.models.resources.filters import filter_fields
from backends.models.resources.hooks import values_after
from backends.models.times import TimeAfter, TimeBefore

if TYPE_CHECKING:
    from backends.models.resources.declaration import Resource


def changes_form(cls: type[Resource], name: str, *, of_clients: bool = True) -> type[Any]:
    """Return the input model of `update`: the fields that clients may change, all optional.

    An unset field keeps its value. The validators of the class itself are not among those of the form,
    because they may need the whole row: see `ResourceSpec.has_rules`.
    """
    fields: dict[str, Any] = {}
    for field in cls.__resource__.fields:
        if of_clients and (field.read_only or field.immutable):
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


def values_of(cls: type[Resource], new: BaseModel) -> dict[str, Any]:
    """Return the declared values of a new row; what a form does not have is the default of the class.

    Raises:
        RuleBroken: The hook of the class refuses the row, or the class the values that the hook sets.
        HookFailed: The hook has a bug.
    """
    fields = cls.__pydantic_fields__
    values = {
        name: getattr(new, name) if hasattr(new, name) else field.get_default(call_default_factory=True)
        for name, field in fields.items()
    }
    if "before_add" not in cls.__hooks__:
        return values
    try:
        return values_after("before_add", cls.of_fields(values))
    except RuleBroken as exc:
        exc.new = new
        raise


def changed_values(cls: type[Resource], changes: BaseModel | Mapping[str, Any]) -> dict[str, Any]:
    """Return the values that are set in changes.

    Raises:
        ValidationError: A mapping has a value that its field can't have.
        ValueError: A mapping names what is no field.
    """
    if not isinstance(changes, BaseModel):
        if unknown := changes.keys() - cls.__resource__.by_name.keys():
            raise ValueError(f"{cls.__name__} has no field {', '.join(sorted(unknown))}")
        changes = _server_form(cls).model_validate(dict(changes))
    given = changes.model_fields_set
    return {name: getattr(changes, name) for name in cls.__resource__.by_name if name in given}


@cache
def _server_form(cls: type[Resource]) -> type[BaseModel]:
    return changes_form(cls, f"{cls.__name__}Changes", of_clients=False)
