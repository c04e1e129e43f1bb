"""The values of any resource come back as they were given, in rows and in instances."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from backends.capabilities import Capability
from backends.errors import RuleBroken, VersionMismatch
from backends.models.resources import Resource

from .expectations import refused_without
from .resource_rows import Rows, values
from .subjects import Subject

pytestmark = pytest.mark.rule("Declared values", "Null")

NUMBER = 12


def exact(found: Any) -> str:
    """Return what `==` does not tell apart: 1 and 1.0, the order of keys, the types."""
    return repr(found)


async def test_values_come_back(rows: Rows, subject: Subject) -> None:
    """`add` returns what `get` and lists return, with the types of the class."""
    cls, user = subject.cls, await rows.user()
    added = []
    for _ in range(rows.capacity(cls, NUMBER)):
        new = await rows.new(cls)
        row = await rows.of(cls).add(new, **await rows.owner(cls, user))
        assert cls.__hooks__ or exact(values(row)) == exact(values(new))
        assert exact(await rows.of(cls).get(row.id)) == exact(row)
        added.append(row)
    page = await rows.of(cls).list(sort="created_at", limit=1000)
    mine = [row for row in page.data if row.id in {each.id for each in added}]
    assert exact(mine) == exact(added)
    listed = {row["id"]: row for row in page.rows}
    assert exact([listed[row.id] for row in added]) == exact([row.to_row() for row in added])


async def test_many_values_come_back(rows: Rows, subject: Subject) -> None:
    """`add_many` stores the same values as `add`, and gives ascending ids."""
    cls = subject.cls
    owner = await rows.owner(cls)
    new = [await rows.new(cls) for _ in range(rows.capacity(cls, NUMBER))]
    with refused_without(rows.backend, Capability.TRANSACTIONS, f"{subject.name}.add_many"):
        added = await rows.of(cls).add_many(new, **owner)
        assert cls.__hooks__ or [exact(values(row)) for row in added] == [exact(values(row)) for row in new]
        assert [row.id for row in added] == sorted(row.id for row in added)
        for row in added:
            assert exact(await rows.of(cls).get(row.id)) == exact(row)


async def test_each_field_changes_alone(rows: Rows, subject: Subject) -> None:
    """A change sets one field, to a value and to null, unless a rule of the class refuses the row."""
    cls = subject.cls
    row = await rows.add(cls)
    others = [await rows.new(cls) for _ in range(rows.capacity(cls, NUMBER) - 1)]
    for place, field in enumerate(cls.__resource__.fields):
        given = [getattr(other, field.name) for other in others[place % 3 :: 3]]
        for value in [*given, *([None] if field.nullable else [])]:
            expected = changed(row, {field.name: value})
            try:
                found = await rows.of(cls).update(row.id, {field.name: value})
            except RuleBroken:
                assert cls.__hooks__ or expected is None
                continue
            assert expected is not None
            assert cls.__hooks__ or exact(found) == exact(expected)
            row = found
    assert exact(await rows.of(cls).get(row.id)) == exact(row)
    with pytest.raises(VersionMismatch):
        await rows.of(cls).update(row.id, values(row), versions=[row.version + 1])
    with pytest.raises(ValueError, match="has no field nothing"):
        await rows.of(cls).update(row.id, {"nothing": 1})


def changed(row: Resource, changes: dict[str, Any]) -> Resource | None:
    """Return the row that a change makes, with what validators set; None if they refuse it."""
    try:
        after = type(row)(**values(row) | changes)
    except ValidationError:
        return None
    return row.model_copy(update=values(after) | {"version": row.version + 1})
