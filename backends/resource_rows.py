"""What the repositories of a resource do alike on every database: access, refusals and changes."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, TypeVar

from pydantic import BaseModel

from backends.errors import Conflict, NotFound, NotOwner, VersionMismatch
from backends.models.resources import DeclarationError, Resource, ResourceSpec
from backends.models.resources.forms import changed_values, values_of
from backends.models.resources.hooks import validated, values_after
from backends.models.resources.values import write_json

R = TypeVar("R", bound=Resource)

TRIES = 50
"""The maximum number of attempts. Each failure means that another change of the row succeeded."""

MAX_PAUSE_SECONDS = 0.05


def require_served(cls: type[Resource], served: Mapping[str, type[Resource]]) -> str:
    """Return the name of a resource, if its class is one of those that a backend serves.

    Raises:
        DeclarationError: It is not.
    """
    spec = getattr(cls, "__resource__", None)
    found = served.get(spec.name) if spec is not None else None
    if spec is not None and found is cls:
        return str(spec.name)
    if found is not None and found.__qualname__ == cls.__qualname__:
        raise DeclarationError(
            f"{cls.__module__}.{cls.__qualname__}",
            f"the database was opened with the class of the same name in {found.__module__}",
            "import the module that declares it before the database is opened",
        )
    raise DeclarationError(
        f"{cls.__module__}.{cls.__qualname__}",
        "the database was opened without it",
        f"add its module to RESOURCES; there are: {', '.join(sorted(served))}",
    )


def new_rows(
    cls: type[R],
    new: Sequence[BaseModel],
    *,
    ids: Iterable[str],
    owner_id: str | None,
    created_at: datetime,
) -> list[R]:
    """Return the rows to store for `ResourceRepository.add` and `add_many`, with ascending ids."""
    served: dict[str, Any] = {"owner_id": owner_id or ""} if cls.__resource__.owned else {}
    served |= {"created_at": created_at, "version": 1}
    return [
        cls.of_fields({"id": id_, **values_of(cls, form), **served})
        for id_, form in zip(sorted(ids), new, strict=True)
    ]


def accessible(row: R | None, spec: ResourceSpec, id: str, *, owner_id: str | None, public: bool) -> R:
    """Return the row if it exists, and belongs to this owner or is public.

    Args:
        row: The row with this id; None if there is none.
        spec: The specification of the resource.
        id: The id.
        owner_id: The required owner; None allows every owner.
        public: Whether rows that fit `spec.public_when` may have another owner.

    Raises:
        NotFound: There is no row.
        NotOwner: The row belongs to somebody else.
    """
    if row is None:
        raise NotFound(spec.entity, id)
    if owner_id is not None and row.owner_id != owner_id and not (public and is_public(row)):
        raise NotOwner(spec.entity, id)
    return row


def is_public(row: Resource) -> bool:
    """Return whether the row has the values of `spec.public_when`."""
    fits = row.__resource__.public_when
    return bool(fits) and all(getattr(row, name) == value for name, value in fits)


def refusal(
    row: Resource | None, spec: ResourceSpec, id: str, *, owner_id: str | None
) -> NotFound | NotOwner | VersionMismatch:
    """Return the reason why a write matched no row with this id, owner and version."""
    if row is None:
        return NotFound(spec.entity, id)
    if owner_id is not None and row.owner_id != owner_id:
        return NotOwner(spec.entity, id)
    return VersionMismatch(spec.entity, id)


async def change_row(
    cls: type[R],
    changes: BaseModel | Mapping[str, Any],
    versions: Collection[int] | None,
    *,
    read: Callable[[], Awaitable[R]],
    write: Callable[[Mapping[str, Any], Collection[int] | None], Awaitable[R]],
) -> R:
    """Change a row as `ResourceRepository.update` does.

    If the class has rules, the row that results is validated as a whole, and written only if nobody changed
    the row meanwhile.

    Args:
        cls: The class of the row.
        changes: The changes.
        versions: The versions that the caller accepts; None accepts every version.
        read: Returns the current row.
        write: Writes values by the names of the fields, if the row has one of these versions.

    Raises:
        VersionMismatch: The row's version is not in `versions`.
        RuleBroken: The class refuses the resulting row.
        Conflict: Others changed the row before each attempt.
    """
    values = changed_values(cls, changes)
    if values and not cls.__resource__.has_rules:
        return await write(values, versions)
    row = await read()
    for _ in range(TRIES):
        if versions is not None and row.version not in versions:
            raise VersionMismatch(row.__resource__.entity, row.id)
        if not values:
            return row
        try:
            return await write(merge(row, values), [row.version])
        except VersionMismatch:
            await asyncio.sleep(random.uniform(0, MAX_PAUSE_SECONDS))  # noqa: S311 - no secret
            row = await read()
    raise Conflict(f"the {row.__resource__.entity} {row.id!r} was changed before each of {TRIES} attempts")


def merge(row: Resource, changes: Mapping[str, Any]) -> dict[str, Any]:
    """Return the values to write: the changed fields, and those that a validator or a hook sets.

    Raises:
        RuleBroken: The class refuses the resulting row.
        HookFailed: The hook has a bug.
    """
    before = {name: getattr(row, name) for name in row.__resource__.by_name}
    after = validated(type(row), before | dict(changes))
    if "before_change" in row.__hooks__:
        values = values_after("before_change", after, row)
    else:
        values = {name: getattr(after, name) for name in before}
    # 1 and 1.0 are equal in Python, and different JSON.
    return {
        name: values[name]
        for name, value in before.items()
        if name in changes or write_json(values[name]) != write_json(value)
    }
