"""The operations of revisions on databases with rows, and undone."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Annotated, Any, Literal

import pytest

from backends.rows.resource_rules import find_resource_problems
from eitherdb import Reference, Searchable, Sortable
from eitherdb.migrations import (
    AddField,
    AddMarkers,
    AddOwner,
    AddResource,
    DropResource,
    MakeOptional,
    RemoveChoice,
    Run,
)
from migrations import MigrationError, open_migrator
from migrations.resources.changes import changes_of
from tests.backends.raw import opened
from tests.migrations.broken_cases import BROKEN, Broken
from tests.migrations.change_cases import CASES, Case, Text, declare
from tests.migrations.shop import (
    add,
    database_of,
    differences,
    expected,
    first,
    history_with,
    open_with,
    prepared,
    read,
)
from tests.provision import Provision


@pytest.mark.parametrize("case", [pytest.param(case, id=name) for name, case in CASES.items()])
async def test_an_operation_is_applied_and_undone(migrated: Provision, case: Case) -> None:
    """Rows get the values that they should; the schema is that of a declaration made afresh."""
    before = declare(case.before, **case.options)
    after = declare(case.after, **case.options_after)
    operations = case.operations(after.__resource__)
    history = history_with([AddResource(before.__resource__)], operations, declared=[after])
    assert changes_of(history) == []
    async with database_of(migrated, history, is_shared=case.undone is not None) as settings:
        await prepared(settings, history, before, case.rows)
        migrator = open_migrator(settings, [history])
        assert await migrator.upgrade() == ["shop:0002"]
        assert await differences(settings, history) == []
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
    async with database_of(migrated, history, is_shared=True) as settings:
        ids = await prepared(settings, history, before, case.rows)
        rows = await read(settings, before)
        bad = ids if "no owner" in case.message else ids[:-1]
        named = ", ".join(bad[:3]) + " and others" * (len(bad) > 3)
        migrator = open_migrator(settings, [history])
        assert await migrator.upgrade("shop:0002") == ["shop:0002"]
        with pytest.raises(MigrationError) as caught:
            await migrator.upgrade()
        assert str(caught.value) == (
            f"revision shop:0003: {case.message} {named}; this revision changed nothing; correct these "
            "rows and run "
            "`eitherdb migrate upgrade` again"
        )
        assert await migrator.applied() == {"shop": "0002"}
        assert await migrator.downgrade("shop:0001") == ["shop:0002"]
        assert await differences(settings, first(history)) == []
        assert await read(settings, before) == rows
        async with opened(open_with(settings, before)) as backend:
            for id_ in bad:
                await backend.resources["books"].delete(id_)
        assert await migrator.upgrade() == ["shop:0002", "shop:0003"]
        assert await migrator.check() == []


async def test_a_rule_that_an_earlier_step_breaks_is_named(migrated: Provision) -> None:
    """Before the revision, no row breaks the rule; the first operation makes two rows equal."""
    before = declare({"state": Literal["a", "b", "c"], "name": Text | None})
    operations = [
        RemoveChoice("books", "state", "c", instead="b"),
        RemoveChoice("books", "state", "b"),
    ]
    history = history_with([AddResource(before.__resource__)], operations)
    async with migrated.empty_database() as settings:
        ids = await prepared(settings, history, before, [{"state": "c", "name": None}])
        with pytest.raises(
            MigrationError, match=f"which is removed, in {ids[0]}; this revision changed nothing"
        ):
            await open_migrator(settings, [history]).upgrade()
        assert await read(settings, before) == [{"title": "Book 0", "state": "c", "name": None}]
        assert await open_migrator(settings, [first(history)]).check() == []


async def test_rows_that_break_a_rule_of_a_downgrade_are_named(migrated: Provision) -> None:
    """What the newer declaration allows, the older one need not."""
    before, after = declare({"name": Text}), declare({"name": Text | None})
    history = history_with([AddResource(before.__resource__)], [MakeOptional("books", "name")])
    async with migrated.empty_database() as settings:
        await prepared(settings, history, before, [])
        migrator = open_migrator(settings, [history])
        await migrator.upgrade()
        (id_,) = await add(settings, after, [{"name": None}])
        with pytest.raises(MigrationError, match=f"name is null in {id_}; .* `eitherdb migrate downgrade`"):
            await migrator.downgrade("shop:0001")
        assert await migrator.check() == []
        assert await migrator.applied() == {"shop": "0002"}


async def test_the_owner_of_existing_rows_must_exist(migrated: Provision) -> None:
    """Without rows, no user is needed."""
    before = declare({})
    history = history_with([AddResource(before.__resource__)], [AddOwner("books", "nobody@example.com")])
    async with migrated.empty_database() as settings:
        (id_,) = await prepared(settings, history, before, [{}])
        migrator = open_migrator(settings, [history])
        with pytest.raises(MigrationError, match="no user has the email address 'nobody@exam"):
            await migrator.upgrade()
        assert await open_migrator(settings, [first(history)]).check() == []
        async with opened(open_with(settings, before)) as backend:
            await backend.resources["books"].delete(id_)
        assert await migrator.upgrade() == ["shop:0002"]
        assert await migrator.check() == []


async def test_resources_of_a_cycle_are_added_and_dropped_between_other_operations(
    migrated: Provision,
) -> None:
    """A resource may refer to one that a later operation of the revision adds."""
    book = declare({})
    added = declare({"shop_id": Annotated[str | None, Reference("shops", on_delete="set_null")]})
    shop = declare({"book_id": Annotated[str | None, Reference("books")]}, name="Shop", path="shops")
    plan = declare({"shop_id": Annotated[str, Reference("shops")]}, name="Plan", path="plans")
    history = history_with(
        [AddResource(book.__resource__)],
        [
            AddResource(plan.__resource__),
            AddField("books", added.__resource__.by_name["shop_id"]),
            AddMarkers("books", "title", ("sortable",)),
            AddResource(shop.__resource__),
        ],
        [DropResource("plans")],
    )
    async with migrated.empty_database() as settings:
        await prepared(settings, history, book, [{}])
        migrator = open_migrator(settings, [history])
        assert await migrator.upgrade() == ["shop:0002", "shop:0003"]
        assert await migrator.check() == []
        assert await migrator.downgrade("shop:0002") == ["shop:0003"]
        assert await migrator.downgrade("shop:0001") == ["shop:0002"]
        assert await open_migrator(settings, [first(history)]).check() == []
        assert await read(settings, book) == [{"title": "Book 0"}]
        assert await migrator.upgrade() == ["shop:0002", "shop:0003"]
        assert await migrator.downgrade("shop:base") == ["shop:0003", "shop:0002", "shop:0001"]


def set_title(title: str) -> Callable[[Any], None]:
    """Return the body of an operation of one's own on SQL."""
    return lambda connection: connection.exec_driver_sql(f"UPDATE books SET title = '{title}'")  # noqa: S608


def set_title_in_mongo(title: str) -> Callable[[Any], Awaitable[None]]:
    """Return the body of an operation of one's own on MongoDB."""

    async def body(database: Any) -> None:
        await database["books"].update_many({}, {"$set": {"title": title}})

    return body


async def test_an_operation_of_ones_own_is_run_and_undone(migrated: Provision) -> None:
    """It sees what the operations before it did."""
    book = declare({})
    own = Run(set_title("new"), set_title_in_mongo("new"), set_title("old"), set_title_in_mongo("old"))
    history = history_with([AddResource(book.__resource__)], [own])
    async with migrated.empty_database() as settings:
        await prepared(settings, history, book, [{}, {}])
        migrator = open_migrator(settings, [history])
        assert await migrator.upgrade() == ["shop:0002"]
        assert await read(settings, book) == [{"title": "new"}] * 2
        assert await migrator.downgrade("shop:0001") == ["shop:0002"]
        assert await read(settings, book) == [{"title": "old"}] * 2


async def test_an_operation_of_ones_own_that_fails_is_named(migrated: Provision) -> None:
    """The error of the function is in the message, in one line."""

    def fail(_connection: Any) -> None:
        raise RuntimeError("no luck\ntoday")

    async def fail_in_mongo(_database: Any) -> None:
        fail(None)

    book = declare({})
    history = history_with([AddResource(book.__resource__)], [Run(fail, fail_in_mongo)])
    async with migrated.empty_database() as settings:
        await prepared(settings, history, book, [{}])
        with pytest.raises(MigrationError, match=r"^revision shop:0002: .*: RuntimeError: no luck$"):
            await open_migrator(settings, [history]).upgrade()
        assert await open_migrator(settings, [first(history)]).applied() == {"shop": "0001"}


async def test_a_table_is_recognised_although_most_of_its_fields_are_new(migrated: Provision) -> None:
    """Whether a table is EitherDB's is decided by the fields of the applied revision."""
    before, after = declare({}), declare({f"field_{number}": Text | None for number in range(20)})
    history = history_with(
        [AddResource(before.__resource__)],
        [AddField("books", field) for field in after.__resource__.fields[1:]],
    )
    async with migrated.empty_database() as settings:
        await prepared(settings, history, before, [{}])
        migrator = open_migrator(settings, [history])
        assert await migrator.upgrade() == ["shop:0002"]
        assert await migrator.check() == []
        assert await migrator.downgrade("shop:0001") == ["shop:0002"]


async def test_many_texts_are_folded_in_batches(migrated: Provision) -> None:
    """Every row has its folded text, and null stays null."""
    before = declare({"name": Text | None})
    after = declare({"name": Annotated[Text | None, Searchable()]})
    history = history_with(
        [AddResource(before.__resource__)], [AddMarkers("books", "name", ("searchable",))]
    )
    async with migrated.empty_database() as settings:
        await prepared(settings, history, before, [])
        rows = [{"title": "Book", "name": f"ẞ{number}" if number % 3 else None} for number in range(2_500)]
        async with opened(open_with(settings, before)) as backend:
            for start in range(0, len(rows), 500):
                await backend.resources["books"].add_many(
                    [before.of_fields(row) for row in rows[start : start + 500]]
                )
        await open_migrator(settings, [history]).upgrade()
        async with opened(open_with(settings, after)) as backend:
            found = await backend.read_rows("books", by=(), start=None, limit=3_000)
            assert len(found) == len(rows)
            assert [row for row in found if find_resource_problems(after, row.fields)] == []
