"""Checks the operations of a revision, which a person may have written."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import fields
from typing import Any

from backends.models.resources import FieldSpec, ResourceSpec
from backends.models.resources.kinds import KINDS
from backends.models.resources.spec import ON_DELETE, Access
from migrations.resources.constraint_operations import AddUnique
from migrations.resources.field_operations import UNCHANGED
from migrations.resources.operations import Operation, State

_Check = tuple[Callable[[Any], bool], str]


def check_arguments(operation: Operation) -> None:
    """Refuse an argument of another type.

    Raises:
        ValueError: The message names the operation, the argument and an example.
    """
    found: Any = operation
    for each in fields(found):
        value = getattr(found, each.name)
        is_valid, example = _CHECKS[str(each.type)]
        if value is not UNCHANGED and not is_valid(value):
            shown = repr(value) if len(repr(value)) < 60 else type(value).__name__
            raise ValueError(f"{type(found).__name__}: {each.name}={shown} can't be; write {example}")


def apply_all(operations: Iterable[Operation], before: State) -> State:
    """Return the state after the operations of a revision.

    Raises:
        ValueError: An operation is refused, or two of them can't be in one revision.
    """
    state, groups, filled = before, list[tuple[str, tuple[str, ...], set[str]]](), set[tuple[str, str]]()
    for operation in operations:
        check_arguments(operation)
        state = operation.after(state)
        for fill in operation.fills():
            if fill.value is not None:
                filled.add((fill.resource, _column(state, fill.resource, fill.field)))
        if isinstance(operation, AddUnique):
            name, group = operation.resource, operation.fields
            groups.append((name, group, {_column(state, name, each) for each in group}))
    for name, group, columns in groups:
        if any((name, column) in filled for column in columns):
            # The rule is checked before rows get the value.
            raise ValueError(
                f"the unique group {group} of {name} can't be added in the revision that gives its rows a "
                "value: leave it out here, and add it in the next revision"
            )
    return state


def _column(state: State, resource: str, field: str) -> str:
    by_name = state[resource].by_name
    return by_name[field].column if field in by_name else field


def _is_text(value: object) -> bool:
    return isinstance(value, str)


def _is_number(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_field(value: object) -> bool:
    return isinstance(value, FieldSpec) and _is_text(value.name) and value.kind in KINDS


def _is_resource(value: object) -> bool:
    return (
        isinstance(value, ResourceSpec)
        and isinstance(value.fields, tuple)
        and all(map(_is_field, value.fields))
        and isinstance(value.access, Access)
    )


def _is_optional(is_valid: Callable[[Any], bool]) -> Callable[[Any], bool]:
    return lambda value: value is None or is_valid(value)


def _are_names(value: object) -> bool:
    return isinstance(value, tuple) and bool(value) and all(map(_is_text, value))


def _are_markers(value: Any) -> bool:
    return _are_names(value) and set(value) <= {"sortable", "filterable", "searchable"}


_CHECKS: Mapping[str, _Check] = {
    "str": (_is_text, "a string"),
    "str | None": (_is_optional(_is_text), "a string or None"),
    "Any": (lambda _: True, "a value in JSON types"),
    "int": (_is_number, "an integer"),
    "int | None": (_is_optional(_is_number), "an integer or None"),
    "float | str | None": (
        lambda value: value is None or _is_number(value) or isinstance(value, float | str),
        "a bound in JSON types, such as 0",
    ),
    "FieldSpec": (_is_field, 'FieldSpec(name="shelf", column="shelf", kind="text", max_length=20)'),
    "FieldSpec | None": (_is_optional(_is_field), 'FieldSpec(name="item", column="item", kind="integer")'),
    "ResourceSpec": (_is_resource, "ResourceSpec(…), as `eitherdb migrate revision` does"),
    "tuple[str, ...]": (_are_names, 'a tuple of names, such as ("isbn",)'),
    "tuple[MarkerName, ...]": (_are_markers, '("sortable",), ("filterable",) or ("searchable",)'),
    "OnDelete": (lambda value: value in ON_DELETE, f"one of {', '.join(ON_DELETE)}"),
    "SqlBody": (callable, "a function of a connection"),
    "MongoBody": (callable, "an async function of a database"),
    "SqlBody | None": (_is_optional(callable), "a function of a connection, or None"),
    "MongoBody | None": (_is_optional(callable), "an async function of a database, or None"),
}
"""The checks by the annotation of the argument."""
