"""A server of the revision before, which goes on serving while the next one is applied and afterwards."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Annotated, Any, Literal

import pytest
from pydantic import Field

from backends.errors import AlreadyExists, BackendError, VersionMismatch
from backends.protocols import ResourceRepository
from backends.rows.resource_rules import find_resource_problems
from eitherdb import Filterable, Searchable, Sortable, Unique
from eitherdb.migrations import (
    AddField,
    AddMarkers,
    AddResource,
    AddUnique,
    ChangeBounds,
    MakeOptional,
    MakeRequired,
    RemoveChoice,
)
from migrations import open_migrator
from migrations.resources.operations import Operation
from tests.backends.raw import opened
from tests.migrations.change_cases import Text, declare
from tests.migrations.shop import database_of, first, history_with, open_with, prepared, read
from tests.provision import Provision

BEFORE = declare({"note": Text | None})
FIELDS: dict[str, Any] = {
    "note": Annotated[Text | None, Searchable()],
    "name": Annotated[Text | None, Sortable(), Filterable(), Searchable(), Unique()],
    "price": Annotated[Decimal | None, Field(max_digits=5, decimal_places=2), Sortable(), Filterable()],
    "day": Annotated[date | None, Sortable()],
    "tags": Annotated[list[Text] | None, Field(max_length=5), Filterable()],
}
AFTER = declare(FIELDS)
NEW = ("name", "price", "day", "tags")
OPTIONAL: list[Operation] = [
    *(AddField("books", AFTER.__resource__.by_name[name]) for name in NEW),
    AddMarkers("books", "note", ("searchable",)),
]
HISTORY = history_with(
    [AddResource(BEFORE.__resource__)], OPTIONAL, [MakeRequired("books", "note", "none")], declared=[AFTER]
)


async def titles(books: ResourceRepository[Any], **options: Any) -> list[str]:
    """Return the titles of a list, read in pages of one row."""
    found: list[str] = []
    page = await books.list(**options, limit=1)
    while True:
        found += [str(row["title"]) for row in page.rows]
        if page.next is None:
            assert page.count == len(found)
            return found
        page = await books.list(**options, limit=1, after=page.next)


async def test_new_fields_that_may_be_null_are_null_in_rows_of_a_server_that_lacks_them(
    migrated: Provision,
) -> None:
    """It reads, adds and changes rows as before; the new server finds and changes all of them."""
    async with database_of(migrated, HISTORY, is_shared=True) as settings:
        await prepared(settings, HISTORY, BEFORE, [{"note": "First"}])
        migrator = open_migrator(settings, [HISTORY])
        async with opened(open_with(settings, BEFORE)) as of_before:
            old = of_before.resources["books"]
            assert await titles(old) == ["Book 0"]
            assert await migrator.upgrade("shop:0002") == ["shop:0002"]
            late = await old.add(BEFORE.of_fields({"title": "Book 1", "note": None}))
            assert await old.update(late.id, {"title": "Book 2"}, versions=[1]) == await old.get(late.id)
            async with opened(open_with(settings, AFTER)) as backend:
                books = backend.resources["books"]
                values = {"name": "Ä", "price": Decimal("1.50"), "day": date(2026, 1, 1), "tags": ["x"]}
                full = AFTER.of_fields({"title": "Book 3", "note": "Größe", **values})
                await books.add(full)
                await books.add(AFTER.of_fields({"title": "Book 4", "note": None, **dict.fromkeys(NEW)}))
                await _compare_lists(books)
                await _change(books, late.id)
            assert await titles(old, sort="created_at") == ["Book 0", "Book 2", "Book 3", "Book 4"]
            assert (await old.get(late.id)).version == 4
        rows = await read(settings, AFTER)
        assert [row["name"] for row in rows] == [None, "B", "Ä", None]
        assert await migrator.downgrade("shop:0001") == ["shop:0002"]
        assert await open_migrator(settings, [first(HISTORY)]).check() == []
        assert [row["note"] for row in await read(settings, BEFORE)] == ["First", None, "Größe", None]


async def _compare_lists(books: ResourceRepository[Any]) -> None:
    """Compare lists of rows that never had the fields, rows with null in them, and one with values."""
    order = ["Book 0", "Book 2", "Book 4", "Book 3"]
    for name in ("name", "price", "day"):
        assert await titles(books, sort=name) == order
        assert await titles(books, sort=f"-{name}") == order[::-1]
    for name in ("name", "price", "tags"):
        assert await titles(books, sort="name", where={f"{name}__isnull": True}) == order[:3]
        assert await titles(books, where={f"{name}__isnull": False}) == order[3:]
    assert await titles(books, where={"price__lt": Decimal("9.00")}) == order[3:]
    assert await titles(books, where={"tags": "x"}) == order[3:]
    assert await titles(books, where={"q": "Ä"}) == order[3:]
    assert await titles(books, where={"q": "fir"}) == order[:1]


async def _change(books: ResourceRepository[Any], id_: str) -> None:
    """Change a row that never had the fields, with the version that the server of before gave it."""
    assert [getattr(await books.get(id_), name) for name in NEW] == [None] * 4
    with pytest.raises(AlreadyExists):
        await books.update(id_, {"name": "Ä"})
    with pytest.raises(VersionMismatch):
        await books.update(id_, {"name": "B"}, versions=[1])
    changed = await books.update(id_, {"name": "B"}, versions=[2])
    assert (changed.name, changed.price, changed.version) == ("B", None, 3)
    assert await books.update(id_, {"price": None}) == await books.get(id_)
    found = await books.find_by(name="B")
    assert found is not None
    assert found.id == id_


async def test_a_text_that_becomes_searchable_and_then_required_is_found_at_last(
    migrated: Provision,
) -> None:
    """A server of before adds rows without the search form, which the next revisions give them."""
    async with database_of(migrated, HISTORY, is_shared=True) as settings:
        await prepared(settings, HISTORY, BEFORE, [])
        migrator = open_migrator(settings, [HISTORY])
        async with opened(open_with(settings, BEFORE)) as of_before:
            await migrator.upgrade("shop:0002")
            for note in (None, "Größe"):
                await of_before.resources["books"].add(BEFORE.of_fields({"title": "x", "note": note}))
        async with opened(open_with(settings, AFTER)) as backend:
            assert await titles(backend.resources["books"], where={"q": "GRÖSSE"}) == []
            rows = await backend.read_rows("books", by=(), start=None, limit=9)
            problems = [[each.field for each in find_resource_problems(AFTER, row.fields)] for row in rows]
            assert problems == [[], ["note_folded"]]
        assert await migrator.upgrade() == ["shop:0003"]
        assert await migrator.check() == []
        required = declare({**FIELDS, "note": Annotated[Text, Searchable()]})
        assert [row["note"] for row in await read(settings, required)] == ["none", "Größe"]


REQUIRED: dict[str, Any] = {
    "name": Text,
    "state": Literal["draft", "sold"],
    "pages": int,
    "price": Annotated[Decimal, Field(max_digits=5, decimal_places=2)],
    "at": datetime,
    "day": date,
    "tags": Annotated[list[int], Field(max_length=5)],
}


async def test_a_field_that_becomes_optional_is_null_for_a_server_that_requires_it(
    migrated: Provision,
) -> None:
    """It reads the rows of a new server, in lists too."""
    before = declare(REQUIRED)
    after = declare({name: kind | None for name, kind in REQUIRED.items()})
    history = history_with(
        [AddResource(before.__resource__)], [MakeOptional("books", name) for name in REQUIRED]
    )
    values = {"name": "a", "state": "sold", "pages": 1, "price": Decimal(1), "tags": []}
    values |= {"at": datetime(2026, 1, 1, tzinfo=UTC), "day": date(2026, 1, 1)}
    async with database_of(migrated, history, is_shared=True) as settings:
        await prepared(settings, history, before, [])
        async with opened(open_with(settings, before)) as of_before:
            await open_migrator(settings, [history]).upgrade()
            async with opened(open_with(settings, after)) as backend:
                added = await backend.resources["books"].add(
                    after.of_fields({"title": "x"} | dict.fromkeys(REQUIRED))
                )
                changed = await backend.resources["books"].add(after.of_fields({"title": "x", **values}))
                await backend.resources["books"].update(changed.id, dict.fromkeys(REQUIRED))
            old = of_before.resources["books"]
            rows = [await old.get(each.id) for each in (added, changed)]
            assert [getattr(row, name) for row in rows for name in REQUIRED] == [None] * 2 * len(REQUIRED)
            page = await old.list(sort="created_at")
            assert [row[name] for row in page.rows for name in REQUIRED] == [None] * 2 * len(REQUIRED)
            for row in rows:
                await old.delete(row.id)


async def test_a_row_that_breaks_a_newer_rule_is_refused_and_not_tried_again(migrated: Provision) -> None:
    """A later try can't succeed, so the error is no `Conflict`."""
    before = declare({"state": Literal["draft", "sold"], "pages": int, "name": Text | None})
    newer: list[Operation] = [
        RemoveChoice("books", "state", "sold"),
        ChangeBounds("books", "pages", maximum=9),
        MakeRequired("books", "name"),
        AddUnique("books", ("title", "pages")),
    ]
    history = history_with([AddResource(before.__resource__)], newer)
    valid = {"title": "x", "state": "draft", "pages": 1, "name": "a"}
    async with database_of(migrated, history, is_shared=True) as settings:
        await prepared(settings, history, before, [])
        async with opened(open_with(settings, before)) as of_before:
            old = of_before.resources["books"]
            row = await old.add(before.of_fields(valid))
            await open_migrator(settings, [history]).upgrade()
            for change in ({"state": "sold"}, {"pages": 10}, {"name": None}):
                with pytest.raises(BackendError) as caught:
                    await old.update(row.id, change)
                assert type(caught.value) is BackendError
                with pytest.raises(BackendError) as caught:
                    await old.add(before.of_fields(valid | change))
                assert type(caught.value) is BackendError
            # A unique group of which the server knows nothing.
            with pytest.raises(AlreadyExists) as taken:
                await old.add(before.of_fields(valid))
            assert (taken.value.entity, taken.value.field) == ("book", "title,pages")
            assert (await old.list()).rows == [row.to_row()]
