"""Changes of a row whose class has rules over several fields."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Collection, Mapping
from typing import Any, TypeVar

from pydantic import ValidationError

from backends.errors import Conflict, RuleBroken, VersionMismatch
from backends.models.resources import Resource
from backends.models.resources.values import write_json

R = TypeVar("R", bound=Resource)

TRIES = 50
"""The maximum number of attempts. Each failure means that another change of the row succeeded."""

MAX_PAUSE_SECONDS = 0.05


async def change_by_rules(
    read: Callable[[], Awaitable[R]],
    write: Callable[[Mapping[str, Any], Collection[int]], Awaitable[R]],
    changes: Mapping[str, Any],
    versions: Collection[int] | None,
) -> R:
    """Validate the row that a change makes, and write it if nobody changed the row meanwhile.

    Args:
        read: Returns the current row.
        write: Writes these values if the row has one of these versions.
        changes: The new values, by the names of the fields.
        versions: The versions that the caller accepts; None accepts every version.

    Raises:
        VersionMismatch: The row's version is not in `versions`.
        RuleBroken: The class refuses the resulting row.
        Conflict: Others changed the row before each attempt.
    """
    row = await read()
    for _ in range(TRIES):
        if versions is not None and row.version not in versions:
            raise VersionMismatch(row.__resource__.entity, row.id)
        try:
            return await write(merge(row, changes), [row.version])
        except VersionMismatch:
            await asyncio.sleep(random.uniform(0, MAX_PAUSE_SECONDS))  # noqa: S311 - no secret
            row = await read()
    raise Conflict(f"the {row.__resource__.entity} {row.id!r} was changed before each of {TRIES} attempts")


def merge(row: Resource, changes: Mapping[str, Any]) -> dict[str, Any]:
    """Return the values to write: the changed fields, and those that a validator of the class sets.

    Raises:
        RuleBroken: The class refuses the resulting row.
    """
    before = {name: getattr(row, name) for name in row.__resource__.by_name}
    try:
        after = type(row)(**before | dict(changes))
    except ValidationError as exc:
        problems = exc.errors(include_url=False, include_context=False, include_input=False)
        raise RuleBroken(row.__resource__.entity, problems) from None
    # 1 and 1.0 are equal in Python, and different JSON.
    return {
        name: getattr(after, name)
        for name, value in before.items()
        if name in changes or write_json(getattr(after, name)) != write_json(value)
    }
