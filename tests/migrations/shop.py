"""Databases with books, for the tests of their changes."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from backends import open_backend
from backends.models import NewUser
from backends.protocols import Backend
from backends.rows.resource_rules import find_resource_problems
from config import Settings
from eitherdb import Resource
from migrations import open_migrator
from migrations.resources.history import History, ResourceRevision
from migrations.resources.operations import Operation, State
from migrations.sql import resources as sql_resources
from tests.backends.raw import opened, sql_connection
from tests.contract.samples import FULL_USER
from tests.migrations.change_cases import OWNER, Row
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


async def differences(settings: Settings, history: History) -> list[str]:
    """Compare the tables or collections of the declared resources with the newest revision.

    On SQL, `Migrator.check` compares EitherDB's own tables too, which takes most of its time. A test calls
    it once, at its end, which sees whether any revision has changed them.
    """
    if settings.db_backend == "mongo":
        return await open_migrator(settings, [history]).check()
    async with sql_connection(settings) as connection:
        if settings.db_backend == "postgres":
            # The tables to compare with are made in a transaction that is rolled back.
            await connection.execution_options(isolation_level="READ COMMITTED")
        return await connection.run_sync(sql_resources.differences, [history])


async def open_with(settings: Settings, *resources: type[Resource]) -> Backend:
    """Open a backend whose schema is what `serve` expects."""
    backend = await open_backend(settings, resources=resources)
    await backend.check_schema()
    return backend


async def add(settings: Settings, cls: type[Resource], rows: Sequence[Row]) -> list[str]:
    """Add rows, whose references stand for a user by the address, and return their ids."""
    async with opened(open_with(settings, cls)) as backend:
        return await _add(backend, cls, rows)


async def _add(backend: Backend, cls: type[Resource], rows: Sequence[Row]) -> list[str]:
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


@asynccontextmanager
async def database_of(migrated: Provision, history: History, *, is_shared: bool) -> AsyncIterator[Settings]:
    """Yield a database with EitherDB's own revisions: the shared one, from which books go at the end.

    A database of its own takes a second longer. It is for a history that can't be undone.
    """
    if not is_shared:
        async with migrated.empty_database() as settings:
            yield settings
        return
    await migrated.clean()
    try:
        yield migrated.settings
    finally:
        await open_migrator(migrated.settings, [history]).downgrade("shop:base")


async def prepared(
    settings: Settings, history: History, cls: type[Resource], rows: Sequence[Row]
) -> list[str]:
    """Apply the first revision, add a user and rows, and return their ids."""
    await open_migrator(settings, [first(history)]).upgrade()
    async with opened(open_with(settings, cls)) as backend:
        await backend.users.add(NewUser(**FULL_USER))
        return await _add(backend, cls, rows)
