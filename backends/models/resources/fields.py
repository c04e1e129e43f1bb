"""Reads a declared field: from pydantic's annotation and constraints, and our markers, to a `FieldSpec`."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, get_args

from pydantic import TypeAdapter, ValidationError
from pydantic.fields import FieldInfo

from backends.models.resources.annotations import read_kind
from backends.models.resources.class_checks import SERVED
from backends.models.resources.constraints import Constraints, annotated, flatten
from backends.models.resources.errors import DeclarationError
from backends.models.resources.kinds import KINDS, MAX_INDEXED_TEXT
from backends.models.resources.markers import (
    Filterable,
    Immutable,
    Marker,
    ReadOnly,
    RenamedFrom,
    Searchable,
    Sortable,
    Unique,
)
from backends.models.resources.spec import FieldSpec
from backends.models.resources.values import metadata_of

_NAME = re.compile(r"[a-z][a-z0-9]*(_[a-z0-9]+)*")
_MAX_NAME = 40
_SYSTEM_COLUMNS = frozenset({"tableoid", "xmin", "cmin", "xmax", "cmax", "ctid"})
"""The columns that every table of PostgreSQL has."""
_PARAMETERS = ("skip", "limit", "cursor", "count", "sort", "q", "created_after", "created_before")


@dataclass(frozen=True, slots=True)
class DeclaredField:
    """A field, and the annotation with which pydantic validates it as every backend needs it."""

    spec: FieldSpec
    annotation: Any


def read_field(place: str, name: str, info: FieldInfo, *, taken: Iterable[str]) -> DeclaredField:
    """Return what a field declares.

    Args:
        place: The name of the class.
        name: The name of the field.
        info: The field, as pydantic collected it.
        taken: The names that a field can't have.

    Raises:
        DeclarationError: The field can't be.
    """
    place = f"{place}.{name}"
    _check_name(place, name, info, taken)
    annotation, metadata, nullable = flatten(annotated(info.annotation, info.metadata))
    markers = [each for each in metadata if isinstance(each, Marker)]
    others = [each for each in metadata if not isinstance(each, Marker)]
    for each in others:
        if isinstance(each, type) and issubclass(each, Marker):
            raise DeclarationError(place, f"{each.__name__} is no marker", f"write {each.__name__}()")
    try:
        spec = read_kind(place, name, annotation, Constraints(place, others), markers)
    except (TypeError, ValueError, ArithmeticError) as exc:
        raise DeclarationError(
            place, f"a constraint can't be: {exc}", "give bounds of the field's type"
        ) from exc
    spec = replace(spec, nullable=nullable, required=info.is_required())
    spec = _read_markers(place, spec, markers)
    if spec.read_only and spec.required:
        raise DeclarationError(
            place, "is read-only and has no default", "give it one, such as `| None = None`"
        )
    validated = annotated(_element_annotation(annotation, spec), [*others, *metadata_of(spec)])
    return DeclaredField(spec, validated | None if nullable else validated)


def checked_default(place: str, info: FieldInfo) -> Any:
    """Return the default of a field, or what its factory returns, as the validated value.

    Raises:
        DeclarationError: It is no value of the field.
    """
    default, shown = info.default, f"the default {info.default!r}"
    if info.default_factory is not None:
        if info.default_factory_takes_validated_data:
            raise DeclarationError(
                place, "its default_factory takes the other fields", "write a hook: def before_add(self)"
            )
        try:
            default = info.get_default(call_default_factory=True)
        except Exception as exc:
            raise DeclarationError(
                place, f"its default_factory raises {type(exc).__name__}: {exc}", "let it return a value"
            ) from exc
        shown = f"the default {default!r} of its factory"
    annotation: Any = info.annotation
    try:
        return TypeAdapter(annotation).validate_python(default)
    except ValidationError as exc:
        raise DeclarationError(place, f"{shown} is no value of the field", exc.errors()[0]["msg"]) from None


def _element_annotation(annotation: Any, spec: FieldSpec) -> Any:
    """Return the annotation of a list with what its elements need."""
    if spec.item is None:
        return annotation
    inner, metadata, _ = flatten(get_args(annotation)[0])
    element: Any = annotated(inner, [*metadata, *metadata_of(spec.item)])
    return list[element]


def _check_name(place: str, name: str, info: FieldInfo, taken: Iterable[str]) -> None:
    if name in taken or name in _SYSTEM_COLUMNS:
        raise DeclarationError(
            place, "the name is taken by every resource", f"write my_{name} or another name"
        )
    if not _is_name(name):
        raise DeclarationError(
            place,
            "is no name for a field",
            f"use at most {_MAX_NAME} lower-case letters, digits and single underscores, without the "
            "ending _folded, such as published_on",
        )
    if info.alias or info.validation_alias or info.serialization_alias:
        raise DeclarationError(place, "has an alias", "give the field the name that clients see")
    if info.exclude:
        raise DeclarationError(place, "is excluded", "leave the field out, or make a route of your own")


def _is_name(name: str) -> bool:
    return bool(_NAME.fullmatch(name)) and len(name) <= _MAX_NAME and not name.endswith("_folded")


def _read_markers(place: str, spec: FieldSpec, markers: Sequence[Marker]) -> FieldSpec:
    rules = KINDS[spec.kind]
    has = {type(marker) for marker in markers}
    if len(has) < len(markers):
        raise DeclarationError(place, "has a marker twice", "write each once")
    for marker, allowed, why in (
        (Sortable, rules.is_ordered, "has no order"),
        (Filterable, rules.is_filtered, "is opaque"),
        (Unique, rules.is_unique, "can't be unique"),
        (Searchable, spec.kind == "text", "is no text"),
    ):
        if marker in has and not allowed:
            raise DeclarationError(place, f"a {spec.kind} {why}", f"leave {marker.__name__}() out")
    if Filterable in has and spec.name in _PARAMETERS:
        raise DeclarationError(
            place,
            "the query parameter of this name is taken",
            f"call it my_{spec.name} or leave Filterable() out",
        )
    if (
        has & {Sortable, Filterable, Unique}
        and spec.kind == "text"
        and (spec.max_length or 0) > MAX_INDEXED_TEXT
    ):
        raise DeclarationError(
            place,
            f"an index holds no text of {spec.max_length} code points",
            f"let max_length be at most {MAX_INDEXED_TEXT}, or leave Sortable, Filterable and Unique out",
        )
    if spec.on_delete == "set_null" and not spec.nullable:
        raise DeclarationError(place, "set_null needs a field that may be null", "write `| None`")
    return replace(
        spec,
        column=_column(place, spec.name, markers),
        unique=Unique in has,
        sortable=Sortable in has,
        filterable=Filterable in has,
        searchable=Searchable in has,
        read_only=ReadOnly in has,
        immutable=Immutable in has,
    )


def _column(place: str, name: str, markers: Sequence[Marker]) -> str:
    """Return the name of the column: the field's oldest name."""
    renamed = next((marker for marker in markers if isinstance(marker, RenamedFrom)), None)
    if renamed is None:
        return name
    example = 'write the names of the field, the oldest first, such as RenamedFrom("titel")'
    if not renamed.names:
        raise DeclarationError(place, "RenamedFrom() gives no name", example)
    for each in renamed.names:
        if not isinstance(each, str) or not _is_name(each) or (*renamed.names, name).count(each) > 1:
            raise DeclarationError(place, f"RenamedFrom({each!r}) is no earlier name", example)
        if each in _SYSTEM_COLUMNS or each in SERVED:
            raise DeclarationError(
                place, f"RenamedFrom({each!r}): every resource has this column itself", example
            )
    return renamed.names[0]
