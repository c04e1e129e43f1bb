"""The operations of revisions on databases with rows, and undone."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import pytest

from backends import open_backend
from backends.models import NewUser
from backends.protocols import Backend
from backends.rows.resource_rules import find_resource_problems
from config import Settings
from eitherdb import Resource, Sortable
from eitherdb.migrations import AddField, AddMarkers, AddResource
from migrations import MigrationError, open_migrator
from migrations.resources.changes import changes_of
from migrations.resources.history import History, ResourceRevision
from migrations.resources.operations import Operation, State
from tests.backends.raw import opened
from tests.contract.samples import FULL_USER
from tests.migrations.broken_cases import BROKEN, Broken
from tests.migrations.change_cases import CASES, OWNER, Case, Row, Text, declare
from tests.provision import Provision


def history_with(*revisions: Sequence[Operation], declared: Sequence[type[Resource]] = ()) -> History:
    """Return the history `shop` with these revisions."""
    found: list[ResourceRevision] = []
    state: State = {}
    for operations in revisions:
        before = state
        for operation in operations:
            state = operation.after(state)
        found.append(ResourceRevision(f"{len(found) + 1:04}", "Books", tuple(operations), before, state))
    return History("shop", Path(), tuple(found), tuple(cls.__resource__ for cls in declared))


def first(history: History) -> History:
    """Return the history without all revisions but the first."""
    return History(history.name, history.folder, history.revisions[:1], history.declared)


async def open_with(settings: Settings, *resources: type[Resource]) -> Backend:
    """Open a backend whose schema is what `serve` expects."""
    backend = await open_backend(settings, resources=resources)
    await backend.check_schema()
    return backend


async def add(settings: Settings, cls: type[Resource], rows: Sequence[Row]) -> list[str]:
    """Add rows, whose references stand for a user by the address, and return their ids."""
    async with opened(open_with(settings, cls)) as backend:
        owner = await backend.users.find_by_email(OWNER)
        assert owner is not None
        ids = []
        for number, row in enumerate(rows):
            given = {name: owner.id if value == OWNER else value for name, value in row.items()}
            new = cls.of_fields({"title": f"Book {number}", **given})
            owner_id = owner.id if cls.__resource__.owned else None
            ids.append((await backend.resources["books"].add(new, owner_id=owner_id)).id)
        return ids


async def read(settings: Settings, cls: type[Resource]) -> list[Row]:
    """Return the declared values of all rows; none breaks a rule for stored rows."""
    spec = cls.__resource__
    async with opened(open_with(settings, cls)) as backend:
        owner = await backend.users.find_by_email(OWNER)
        assert owner is not None
        found = await backend.read_rows("books", by=(), start=None, limit=100)
        assert [find_resource_problems(cls, row.fields) for row in found] == [[] for _ in found]
    names = [*spec.by_name, *(["owner_id"] if spec.owned else [])]
    return [
        {name: OWNER if row.fields[name] == owner.id else row.fields[name] for name in names}
        for row in found
    ]


def expected(cls: type[Resource], rows: Sequence[Row], changes: Sequence[Row]) -> list[Row]:
    """Return the values of the rows after a change."""
    spec = cls.__resource__
    names = [*spec.by_name, *(["owner_id"] if spec.owned else [])]
    values = [
        {"title": f"Book {number}", "owner_id": OWNER, **row, **change}
        for number, (row, change) in enumerate(zip(rows, changes, strict=True))
    ]
    return [{name: row[name] for name in names} for row in values]


async def prepared(
    settings: Settings, history: History, cls: type[Resource], rows: Sequence[Row]
) -> list[str]:
    """Apply the first revision, add a user and rows, and return their ids."""
    await open_migrator(settings, [first(history)]).upgrade()
    async with opened(open_backend(settings)) as backend:
        await backend.users.add(NewUser(**FULL_USER))
    return await add(settings, cls, rows)


@pytest.mark.parametrize("case", [pytest.param(case, id=name) for name, case in CASES.items()])
async def test_an_operation_is_applied_and_undone(migrated: Provision, case: Case) -> None:
    """Rows get the values that they should; the schema is that of a declaration made afresh."""
    before = declare(case.before, **case.options)
    after = declare(case.after, **case.options_after)
    operations = case.operations(after.__resource__)
    history = history_with([AddResource(before.__resource__)], operations, declared=[after])
    assert changes_of(history) == []
    async with migrated.empty_database() as settings:
        await prepared(settings, history, before, case.rows)
        migrator = open_migrator(settings, [history])
        assert await migrator.upgrade() == ["shop:0002"]
        assert await migrator.check() == []
        assert await read(settings, after) == expected(after, case.rows, case.changed)
        if case.undone is None:
            with pytest.raises(MigrationError, match="revision 0002 can't be undone: the values of"):
                await migrator.downgrade("shop:0001")
            assert await migrator.check() == []
            return
        assert await migrator.downgrade("shop:0001") == ["shop:0002"]
        assert await open_migrator(settings, [first(history)]).check() == []
        assert await read(settings, before) == expected(before, case.rows, case.undone)
        assert await migrator.upgrade() == ["shop:0002"]
        assert await migrator.downgrade("shop:base") == ["shop:0002", "shop:0001"]


@pytest.mark.parametrize("case", [pytest.param(case, id=name) for name, case in BROKEN.items()])
async def test_rows_that_break_a_rule_are_named_before_anything_changes(
    migrated: Provision, case: Broken
) -> None:
    """Operations before the one with the rule are not applied either; without the rows, all of them are."""
    before = declare(case.before, owned=case.owned)
    extra = declare({"extra": Annotated[Text, Sortable()]}).__resource__.by_name["extra"]
    history = history_with(
        [AddResource(before.__resource__)],
        [AddField("books", extra, "new")],
        [AddMarkers("books", "title", ("sortable",)), *case.operations],
    )
    async with migrated.empty_database() as settings:
        ids = await prepared(settings, history, before, case.rows)
        rows = await read(settings, before)
        bad = ids if "no owner" in case.message else ids[:-1]
        named = ", ".join(bad[:3]) + " and others" * (len(bad) > 3)
        migrator = open_migrator(settings, [history])
        assert await migrator.upgrade("shop:0002") == ["shop:0002"]
        with pytest.raises(MigrationError) as caught:
            await migrator.upgrade()
        assert str(caught.value) == (
            f"revision shop:0003: {case.message} {named}; nothing was changed; correct these rows and run "
            "`eitherdb migrate upgrade` again"
        )
        assert await migrator.applied() == {"shop": "0002"}
        assert await migrator.downgrade("shop:0001") == ["shop:0002"]
        assert await open_migrator(settings, [first(history)]).check() == []
        assert await read(settings, before) == rows
        async with opened(open_with(settings, before)) as backend:
            for id_ in bad:
                await backend.resources["books"].delete(id_)
        assert await migrator.upgrade() == ["shop:0002", "shop:0003"]
        assert await migrator.check() == []
