"""Reads the arguments of a declared class: `path`, `unique`, `access` and `public_when`."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from pydantic import BaseModel, TypeAdapter, ValidationError

from backends.models.resources.errors import DeclarationError
from backends.models.resources.kinds import KINDS
from backends.models.resources.spec import ACTIONS, WHO, Access, FieldSpec, Scalar, Who
from backends.models.resources.values import to_json

_PATH = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")
_CLASS = re.compile(r"[A-Z][A-Za-z0-9]*")
_MAX_PATH = 40
_MAX_CLASS = 60
_MAX_GROUP = 32
"""The most fields of a unique group: those of an index in PostgreSQL and MongoDB."""
_MAX_UNIQUE_BYTES = 2_600
"""The greatest size of the values of a unique group: see `kinds.MAX_INDEXED_TEXT`."""

RESERVED_PATHS = frozenset(
    {
        *("users", "accounts", "transfers", "login", "utils", "private"),
        *("password-recovery", "password-recovery-html-content", "reset-password", "docs", "redoc"),
        *("idempotency-keys", "counters", "deleted-users", "alembic-version"),
        *("schema-migrations", "schema-migrations-lock", "resource-migrations"),
    }
)
"""The paths and tables that EitherDB has itself."""

_RESERVED_PREFIXES = ("sqlite-", "pg-", "pk-", "uq-", "ix-", "fk-", "ck-")
"""The prefixes of the databases' own tables, and of the names of indexes and constraints."""

_OWNED: Mapping[str, Who] = {"read": "owner", "create": "signed_in", "change": "owner", "delete": "owner"}
_SHARED: Mapping[str, Who] = {
    "read": "signed_in",
    "create": "superuser",
    "change": "superuser",
    "delete": "superuser",
}


def checked_path(name: str, path: str | None) -> str:
    """Return the path of a class of this name.

    Raises:
        DeclarationError: The name or the path can't be.
    """
    example = f'write class {name}(Resource, path="{snake_case(name).replace("_", "-")}s")'
    if not _CLASS.fullmatch(name) or len(name) > _MAX_CLASS:
        raise DeclarationError(
            name,
            "is no name of a resource",
            f"write it in ASCII as LineItem, with at most {_MAX_CLASS} letters",
        )
    if path is None:
        raise DeclarationError(name, "it has no path", example)
    if not isinstance(path, str) or not _PATH.fullmatch(path) or len(path) > _MAX_PATH:
        raise DeclarationError(
            name,
            f"the path {path!r} can't be",
            f"use at most {_MAX_PATH} lower-case letters, digits and single hyphens, such as line-items",
        )
    if path in RESERVED_PATHS or path.startswith(_RESERVED_PREFIXES):
        raise DeclarationError(name, f"the path {path!r} is EitherDB's own", "choose another one")
    return path


def snake_case(name: str) -> str:
    """Return `LineItem` as `line_item`."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", name).lower()


def unique_groups(
    name: str, fields: tuple[FieldSpec, ...], groups: Iterable[Iterable[str]], *, owned: bool
) -> tuple[tuple[str, ...], ...]:
    """Return the unique fields and then the unique groups.

    Raises:
        DeclarationError: A group names what is no field, can't be unique, or is too large for an index.
    """
    by_name = {field.name: field for field in fields}
    found: list[tuple[str, ...]] = [(field.name,) for field in fields if field.unique]
    for group in groups:
        names = tuple(group) if isinstance(group, list | tuple) else ()
        if not names or not all(isinstance(each, str) for each in names) or len(set(names)) < len(names):
            raise DeclarationError(
                name, f"unique={group!r} is no group of fields", 'write unique=[("owner_id", "isbn")]'
            )
        for each in names:
            field = by_name.get(each)
            if each == "owner_id" and owned:
                continue
            if field is None or not KINDS[field.kind].is_unique:
                valid = ["owner_id"] * owned + [spec.name for spec in fields if KINDS[spec.kind].is_unique]
                remedy = f"take from: {', '.join(valid)}" if valid else "none of the fields can be"
                raise DeclarationError(f"{name}.{each}", "is no field that can be unique", remedy)
        if len(names) > _MAX_GROUP:
            raise DeclarationError(
                name, f"a unique group has {len(names)} fields", f"let an index have at most {_MAX_GROUP}"
            )
        if sum(_index_bytes(by_name.get(each)) for each in names) > _MAX_UNIQUE_BYTES:
            raise DeclarationError(
                name, f"unique={names} is too large for an index", "let the max_length of its texts be less"
            )
        found.append(names)
    if len({frozenset(group) for group in found}) < len(found):
        raise DeclarationError(name, "two unique groups have the same fields", "leave one of them out")
    return tuple(found)


def _index_bytes(field: FieldSpec | None) -> int:
    is_text = field is not None and field.kind in {"text", "email", "choice"}
    return 4 * (field.max_length or 0) if is_text and field is not None else 12


def access_of(name: str, given: Mapping[str, str], *, owned: bool) -> Access:
    """Return who may do what; what is not given is the default.

    Raises:
        DeclarationError: There is no such action or caller, or the rows have no owner.
    """
    who = dict(_OWNED if owned else _SHARED)
    for action, allowed in given.items():
        if action not in ACTIONS:
            raise DeclarationError(
                name, f"{action!r} in access is no action", f"the actions are {', '.join(ACTIONS)}"
            )
        if allowed not in WHO:
            raise DeclarationError(
                name, f"{allowed!r} may not {action}: nobody is called so", f"write one of {', '.join(WHO)}"
            )
        if allowed == "owner" and (not owned or action == "create"):
            problem = "a new row has no owner yet" if owned else "the rows have no owner"
            raise DeclarationError(name, f"access of {action}: {problem}", "write signed_in or superuser")
        if allowed == "anyone" and action == "create" and owned:
            raise DeclarationError(
                name, "access of create: a row needs an owner", "write signed_in, or owned=False"
            )
        who[action] = allowed
    return Access(**who)


def public_condition(
    cls: type[BaseModel], fields: tuple[FieldSpec, ...], given: Mapping[str, Any]
) -> tuple[tuple[str, Scalar], ...]:
    """Return the values by which rows are public.

    Raises:
        DeclarationError: A field can't be asked for, or never has the value.
    """
    by_name = {field.name: field for field in fields}
    valid = [field.name for field in fields if field.kind in {"boolean", "choice", "text", "integer"}]
    found = []
    for field_name, value in given.items():
        place = f"{cls.__name__}.{field_name}"
        if field_name not in valid:
            shown = ", ".join(valid) or "no field of this class can be"
            raise DeclarationError(place, "public_when can't ask for it", f"take from: {shown}")
        annotation: Any = cls.__pydantic_fields__[field_name].annotation
        try:
            checked = TypeAdapter(annotation).validate_python(value)
        except ValidationError as exc:
            message = exc.errors()[0]["msg"]
            raise DeclarationError(place, f"public_when asks for {value!r}", message) from None
        found.append((by_name[field_name].name, to_json(checked)))
    return tuple(found)
