"""Checks a class as a whole: what pydantic's models may have, and a stored row can't."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, get_args

from pydantic import BaseModel

from backends.models.resources.errors import DeclarationError
from backends.models.resources.spec import ResourceSpec

if TYPE_CHECKING:
    from backends.models.resources.hooks import Hook

SERVED = ("id", "owner_id", "created_at", "version")
"""The fields that the server sets. A resource without owners has no `owner_id`."""

MAX_FIELDS = 200
"""The most fields of a resource. PostgreSQL's tables have at most 1,600 columns."""

MAX_INDEXES = 64
"""The most indexes of a resource: those of a collection of MongoDB."""

_SPECIAL = ("__init__", "__new__", "__slots__", "model_post_init")


def check_class(cls: type[BaseModel], base: type[BaseModel], hooks: frozenset[Hook]) -> None:
    """Refuse a class with what is not stored, or would not behave alike everywhere.

    Args:
        cls: The class.
        base: `Resource`.
        hooks: The hooks of the class, which override those of `Resource`.

    Raises:
        DeclarationError: Names the class, or the attribute.
    """
    name = cls.__name__
    if cls.__pydantic_generic_metadata__["parameters"]:
        raise DeclarationError(name, "it is generic", "declare a class without type parameters")
    _check_decorators(name, cls)
    for attribute in cls.__private_attributes__:
        shown = attribute.removeprefix(f"_{name}")
        raise DeclarationError(
            f"{name}.{shown}", "a private attribute is not stored", "declare a field, or a ClassVar"
        )
    for option, value in cls.model_config.items():
        if base.model_config.get(option) != value:
            raise DeclarationError(
                f"{name}.model_config",
                f"{option} can't be set: it would not hold for changes",
                "leave model_config out, and write validators",
            )
    for attribute in _overridden(cls, base):
        if attribute not in hooks and attribute not in cls.__pydantic_fields__:
            raise DeclarationError(
                f"{name}.{attribute}",
                "it replaces an attribute of every resource",
                "write a validator or a hook" if attribute in _SPECIAL else "give it another name",
            )
    _check_fields(cls)


def _check_decorators(place: str, cls: type[BaseModel]) -> None:
    decorators = cls.__pydantic_decorators__
    for found, what in (
        (decorators.computed_fields, "a computed field"),
        (decorators.field_serializers, "a serializer"),
        (decorators.model_serializers, "a serializer"),
    ):
        if found:
            raise DeclarationError(
                f"{place}.{next(iter(found))}", f"{what} is not stored", "compute it in a route of your own"
            )
    validators: dict[str, Any] = {**decorators.model_validators, **decorators.field_validators}
    for name, validator in validators.items():
        if inspect.iscoroutinefunction(inspect.unwrap(validator.func)):
            raise DeclarationError(
                f"{place}.{name}", "a validator waits for nothing", "write it without async"
            )


def check_nested(place: str, annotation: Any) -> None:
    """Refuse a nested model whose JSON is not what it is validated from.

    Raises:
        DeclarationError: Names the field, and the attribute of the nested model.
    """
    for cls in models_in(annotation):
        _check_decorators(f"{place}: {cls.__name__}", cls)
        for name, info in cls.__pydantic_fields__.items():
            if info.alias or info.validation_alias or info.serialization_alias or info.exclude:
                raise DeclarationError(
                    f"{place}: {cls.__name__}.{name}",
                    "a nested field has an alias, or is excluded",
                    "give it the name that clients see",
                )


def models_in(annotation: Any) -> list[type[BaseModel]]:
    """Return the models that an annotation contains, also in their fields."""
    return list(_models_in(annotation, set()))


def _models_in(annotation: Any, seen: set[Any]) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel) and annotation not in seen:
        seen.add(annotation)
        yield annotation
        for info in annotation.__pydantic_fields__.values():
            yield from _models_in(info.annotation, seen)
    for each in get_args(annotation):
        yield from _models_in(each, seen)


def _overridden(cls: type[BaseModel], base: type[BaseModel]) -> Iterator[str]:
    """Yield the attributes of `Resource` that the class or a mixin defines again."""
    taken = {name for name in dir(base) if not name.startswith("_")} | {*SERVED, *_SPECIAL}
    # Pydantic defines `model_post_init` for private attributes, which are refused before.
    taken -= {"model_config", "model_fields", "model_computed_fields"}
    for each in cls.__mro__:
        if each not in base.__mro__:
            yield from (name for name in vars(each) if name in taken)


def _check_fields(cls: type[BaseModel]) -> None:
    name = cls.__name__
    if not cls.__pydantic_fields_complete__:
        for field_name, info in cls.__pydantic_fields__.items():
            if not getattr(info, "_complete", True):
                name = f"{name}.{field_name}"
                break
        raise DeclarationError(
            name, "the annotation names what is not defined", "define or import it above"
        )
    if len(cls.__pydantic_fields__) > MAX_FIELDS:
        raise DeclarationError(name, "it has too many fields", f"declare at most {MAX_FIELDS}")
    if not cls.__pydantic_fields__:
        raise DeclarationError(
            name, "it has no field", "declare one: title: Annotated[str, Field(max_length=255)]"
        )


def check_indexes(spec: ResourceSpec) -> None:
    """Refuse more indexes than a database has.

    Raises:
        DeclarationError: Names the class.
    """
    count = indexes_of(spec)
    if count > MAX_INDEXES:
        raise DeclarationError(
            spec.class_name,
            f"it needs {count} indexes, and MongoDB has at most {MAX_INDEXES}",
            "let fewer fields be Sortable, Filterable, Unique or a Reference",
        )


def indexes_of(spec: ResourceSpec) -> int:
    """Return the number of indexes in MongoDB; SQL has as many or fewer."""
    orders = 1 + sum(field.sortable for field in spec.fields)
    others = sum(
        (field.filterable and not field.sortable)
        + (field.kind == "reference" and (spec.owned or not field.filterable))
        for field in spec.fields
    )
    return 1 + orders * (1 + spec.owned) + others + len(spec.unique)
