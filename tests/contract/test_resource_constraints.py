"""Unique groups, references, owners and versions of any resource."""

from __future__ import annotations

from typing import Any

import pytest

from backends.capabilities import Capability
from backends.errors import (
    AlreadyExists,
    BackendError,
    NotFound,
    NotOwner,
    NotSupported,
    StillReferenced,
    VersionMismatch,
)
from backends.models import User
from backends.models.resources import FieldSpec

from .expectations import facts, race, raises, refused_without
from .resource_rows import Rows, values
from .samples import UNKNOWN_ID
from .subjects import Subject

CALLERS = 12


async def refuse(
    rows: Rows, subject: Subject, owner: dict[str, Any], new: Any, error: BackendError
) -> None:
    """Expect this error from `add`, and from `add_many` together with a row that could be added."""
    repository = rows.of(subject.cls)
    with raises(error):
        await repository.add(new, **owner)
    other = await rows.new(subject.cls)
    with refused_without(rows.backend, Capability.TRANSACTIONS, f"{subject.name}.add_many"), raises(error):
        await repository.add_many([other, new], **owner)


@pytest.mark.rule("Unique groups", "Uniqueness")
async def test_unique_group_is_unique_and_named(rows: Rows, subject: Subject) -> None:
    """By adding one, adding many and changing; a row is found by its values."""
    cls, spec = subject.cls, subject.cls.__resource__
    repository = rows.of(cls)
    if rows.capacity(cls, 5) < 5:
        return
    for group in spec.unique:
        owner = await rows.owner(cls)
        row = await repository.add(await rows.new(cls), **owner)
        fields = row.fields()
        key = {name: fields[name] for name in group}
        if None in key.values():
            continue
        taken = AlreadyExists(spec.entity, ",".join(group))
        declared = {name: value for name, value in key.items() if name != "owner_id"}
        await refuse(rows, subject, owner, await rows.new(cls, **declared), taken)
        other = await repository.add(await rows.new(cls), **owner)
        with raises(taken):
            await repository.update(other.id, declared)
        assert await repository.get(other.id) == other
        assert await repository.find_by(**key) == row
        unused = await rows.new(cls)
        key |= {name: getattr(unused, name) for name in declared}
        assert not declared or None in key.values() or await repository.find_by(**key) is None
        assert (await repository.list(limit=1000)).count == len(await stored_ids(rows, subject))
    with pytest.raises(ValueError, match="no unique group"):
        await repository.find_by(created_at="never")


async def stored_ids(rows: Rows, subject: Subject) -> set[str]:
    """Return the ids of all rows, after each is read alone."""
    page = await rows.of(subject.cls).list(limit=1000)
    return {(await rows.of(subject.cls).get(row.id)).id for row in page.data}


@pytest.mark.rule("Unique groups", "Null")
async def test_rows_with_null_are_exempt_from_uniqueness(rows: Rows, subject: Subject) -> None:
    """Any number of rows may have null in a group, and the same values besides."""
    cls, spec = subject.cls, subject.cls.__resource__
    alone = len(spec.unique) == 1
    for group in spec.unique:
        for name in [
            name for name in group if name != "owner_id" and spec.by_name[name].nullable and alone
        ]:
            owner = await rows.owner(cls)
            new = await rows.new(cls, **{name: None})
            added = [await rows.of(cls).add(new, **owner) for _ in range(3)]
            assert [values(row) for row in added] == [values(new)] * 3


@pytest.mark.rule("Unique groups", "Versions")
async def test_of_many_concurrent_writes_of_one_value_one_succeeds(rows: Rows, subject: Subject) -> None:
    """The others are told the group."""
    cls, spec = subject.cls, subject.cls.__resource__
    for group in spec.unique[:1]:
        owner, new = await rows.owner(cls), await rows.new(cls)
        if None in {getattr(new, name) for name in group if name != "owner_id"}:
            continue
        added, errors = await race(rows.of(cls).add(new, **owner) for _ in range(CALLERS))
        assert len(added) == 1
        names = {",".join(each) for each in spec.unique}
        assert {error for error, _ in errors} == {AlreadyExists}
        assert {dict(each)["field"] for _, each in errors} <= names


@pytest.mark.rule("Declared references", "Identity")
async def test_reference_to_nothing_is_refused(rows: Rows, subject: Subject) -> None:
    """Malformed ids are unknown ids. The owner is looked for first, and nothing is stored."""
    cls, spec = subject.cls, subject.cls.__resource__
    owner = await rows.owner(cls)
    row = await rows.of(cls).add(await rows.new(cls), **owner)
    before = await stored_ids(rows, subject)
    for field in spec.references:
        entity = entity_of(rows, field)
        for unknown in (UNKNOWN_ID, "x" * 24, row.id.upper()):
            new = await rows.new(cls, **{field.name: unknown})
            await refuse(rows, subject, owner, new, NotFound(entity, unknown))
            with raises(NotFound(entity, unknown)):
                await rows.of(cls).update(row.id, {field.name: unknown})
    if spec.owned:
        for unknown in (UNKNOWN_ID, "x" * 24):
            new = await rows.new(cls, **{field.name: unknown for field in spec.references})
            await refuse(rows, subject, {"owner_id": unknown}, new, NotFound("user", unknown))
    assert before == {each for each in await stored_ids(rows, subject) if each in before}
    assert await rows.of(cls).get(row.id) == row


def entity_of(rows: Rows, field: FieldSpec) -> str:
    """Return the entity of what a reference names."""
    return "user" if field.target == "users" else rows.backend.resources[field.target or ""].spec.entity


@pytest.mark.rule("Declared references", "Atomicity", "Cascade")
async def test_deletion_keeps_the_rule_of_each_reference(rows: Rows, subject: Subject) -> None:
    """`restrict` refuses, `cascade` deletes the row, `set_null` makes a new version of it."""
    cls, spec = subject.cls, subject.cls.__resource__
    for field in spec.references:
        others = [each for each in spec.references if each is not field and each.nullable]
        blank = {each.name: None for each in others}
        target = await rows.referred_to(field)
        owner = await rows.owner(cls)
        row = await rows.of(cls).add(await rows.new(cls, **blank, **{field.name: target.id}), **owner)
        free = await rows.referred_to(field)
        delete = rows.delete_of(field)
        operation = f"{field.target}.delete"
        with refused_without(rows.backend, Capability.TRANSACTIONS, operation):
            await delete(free.id)
            with raises(NotFound(entity_of(rows, field), free.id)):
                await delete(free.id)
            if field.on_delete == "restrict":
                with raises(StillReferenced(entity_of(rows, field), target.id, spec.entity)):
                    await delete(target.id)
                assert await rows.of(cls).get(row.id) == row
                await rows.of(cls).delete(row.id)
                await delete(target.id)
                continue
            await delete(target.id)
            if field.on_delete == "cascade":
                with raises(NotFound(spec.entity, row.id)):
                    await rows.of(cls).get(row.id)
            else:
                expected = row.model_copy(update={field.name: None, "version": row.version + 1})
                assert await rows.of(cls).get(row.id) == expected


@pytest.mark.rule("Ownership", "Versions")
async def test_owner_and_version_are_checked_in_the_same_step(rows: Rows, subject: Subject) -> None:
    """Existence is checked first, the owner then, the version last; a refusal changes nothing."""
    cls, spec = subject.cls, subject.cls.__resource__
    repository, entity = rows.of(cls), spec.entity
    owner = await rows.owner(cls)
    row = await repository.add(await rows.new(cls), **owner)
    limits: list[tuple[dict[str, Any], BackendError]] = [
        ({"versions": [row.version + 1]}, VersionMismatch(entity, row.id)),
        ({"versions": []}, VersionMismatch(entity, row.id)),
    ]
    if spec.owned:
        stranger: User = await rows.user()
        limits.append(({"owner_id": stranger.id, "versions": [9]}, NotOwner(entity, row.id)))
        with raises(NotOwner(entity, row.id)):
            await repository.get(row.id, owner_id=stranger.id)
    for limit, error in limits:
        with raises(error):
            await repository.update(row.id, values(row), **limit)
        with raises(NotFound(entity, UNKNOWN_ID)):
            await repository.update(UNKNOWN_ID, values(row), **limit)
        if rows.deletes(cls):
            with raises(error):
                await repository.delete(row.id, **limit)
    assert await repository.get(row.id, **owner) == row
    if rows.deletes(cls):
        results, errors = await race(
            repository.delete(row.id, versions=[1], **owner) for _ in range(CALLERS)
        )
        assert (len(results), {*errors}) == (1, {facts(NotFound(entity, row.id))})
    else:
        with raises(NotSupported(f"{subject.name}.delete", Capability.TRANSACTIONS)):
            await repository.delete(row.id)
