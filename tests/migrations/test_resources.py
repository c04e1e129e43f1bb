"""The revisions of declared resources, on every database."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import pytest
from pydantic import Field

from backends import open_backend
from backends.errors import AlreadyExists, ForeignSchema, ResourcesMissing, SchemaMismatch
from config import Settings
from eitherdb import Reference, Resource, Sortable, Unique
from eitherdb.migrations import MakeOptional, MakeRequired
from migrations import MigrationError, open_migrator, read_applied
from migrations.resources.history import History, history_of
from tests.api.declared import Author, Book
from tests.migrations.numbers import every_number
from tests.provision import Provision

EVERY_KIND = history_of("library", [Author.__resource__, Book.__resource__])


class Node(Resource, path="nodes"):
    """A cycle that null breaks: a node refers to a leaf, an item, a user and its parent."""

    parent_id: Annotated[str | None, Reference("nodes", on_delete="cascade")] = None
    leaf_id: Annotated[str | None, Reference("leaves", on_delete="set_null")] = None
    item_id: Annotated[str | None, Reference("items", on_delete="set_null")] = None
    user_id: Annotated[str | None, Reference("users")] = None


class Leaf(Resource, path="leaves", owned=False):
    """Refers to a node."""

    node_id: Annotated[str, Reference("nodes")]
    name: Annotated[str, Field(max_length=10), Sortable()]


CYCLE = history_of("trees", [Leaf.__resource__, Node.__resource__])


async def check_schema(settings: Settings, *resources: type[Resource]) -> None:
    """Check the schema as `serve` does."""
    backend = await open_backend(settings, resources=resources)
    try:
        await backend.check_schema()
    finally:
        await backend.close()


async def test_upgrade_applies_declared_resources(migrated: Provision) -> None:
    """The head of both histories is applied and undone; the database then has what is declared."""
    async with migrated.empty_database() as settings:
        migrator, every = open_migrator(settings, [EVERY_KIND, CYCLE]), every_number(settings)
        assert await migrator.applied() == {}
        assert await migrator.upgrade() == [*every, "library:0001", "trees:0001"]
        assert await migrator.upgrade() == []
        assert await migrator.check() == []
        assert await migrator.applied() == {"library": "0001", "trees": "0001"}
        assert await migrator.current() == every[-1]
        await check_schema(settings, Author, Book, Leaf, Node)
        assert await migrator.downgrade("library:base") == ["library:0001"]
        assert await migrator.applied() == {"trees": "0001"}
        with pytest.raises(ResourcesMissing, match="lacks the declared authors, books: run `eitherdb mig"):
            await check_schema(settings, Author, Book, Leaf, Node)
        assert (await migrator.check())[0].startswith(
            "the database's declared resources (library:base) are "
        )
        assert await migrator.upgrade("library:0001") == ["library:0001"]
        assert await migrator.downgrade("base") == ["trees:0001", "library:0001", *every[::-1]]
        assert await migrator.current() is None
        assert await migrator.upgrade("trees:head") == [*every, "trees:0001"]


async def test_a_database_without_declared_resources_goes_on(migrated: Provision) -> None:
    """EitherDB's own targets leave declared resources alone, and serve without them."""
    async with migrated.empty_database() as settings:
        every = every_number(settings)
        assert await open_migrator(settings).upgrade() == every
        assert await open_migrator(settings, [CYCLE]).upgrade(every[-1]) == []
        assert await open_migrator(settings, [CYCLE]).upgrade() == ["trees:0001"]
        await check_schema(settings)
        assert await open_migrator(settings).applied() == {"trees": "0001"}
        with pytest.raises(MigrationError, match="also has declared resources of trees: name the modules"):
            await open_migrator(settings).downgrade("base")
        with pytest.raises(
            MigrationError, match="no history 'trees' of declared resources; there are: none"
        ):
            await open_migrator(settings).downgrade("trees:base")
        with pytest.raises(SchemaMismatch):
            await open_migrator(settings, [History("trees", Path(), (), ())]).upgrade()


async def test_upgrade_spares_tables_of_other_applications(migrated: Provision) -> None:
    """A table or collection with a declared name that no revision made stops everything before a write."""

    class Sheet(Resource, path="authors"):
        """Looks like another application's authors to the library."""

        cells: Annotated[str, Field(max_length=9)]
        rows: int
        columns: int

    async with migrated.empty_database() as settings:
        assert await open_migrator(settings, [history_of("sheets", [Sheet.__resource__])]).upgrade()
        migrator = open_migrator(settings, [EVERY_KIND])
        with pytest.raises(ForeignSchema, match="authors"):
            await migrator.upgrade()
        assert await migrator.applied() == {"sheets": "0001"}


async def test_a_database_with_another_revision_of_this_number_is_refused(migrated: Provision) -> None:
    """A revision was applied before its file got another number: the refusal says what to do."""
    (first,) = CYCLE.revisions

    def history(*summaries: str) -> History:
        empty = replace(first, operations=(), before=first.after)
        more = [
            replace(empty, number=f"{number:04}", summary=each) for number, each in enumerate(summaries, 2)
        ]
        return History("trees", Path(), (first, *more), CYCLE.declared)

    async with migrated.empty_database() as settings:
        applied, renumbered = history("Late"), history("Early", "Late")
        await open_migrator(settings, [applied]).upgrade()
        migrator = open_migrator(settings, [renumbered])
        message = re.escape(
            "the database has trees:0002 as 'Late', but the file is 'Early': run `eitherdb migrate "
            "downgrade trees:0001` with the file that was applied, and then `eitherdb migrate upgrade` "
            "with this one; "
        )
        for call in (
            migrator.upgrade(),
            migrator.downgrade("trees:base"),
            migrator.check(),
            read_applied(settings, [renumbered]),
        ):
            with pytest.raises(MigrationError, match=message) as caught:
                await call
            assert "\n" not in str(caught.value)
        assert await migrator.applied() == {"trees": "0002"}
        assert await open_migrator(settings, [applied]).downgrade("trees:0001") == ["trees:0002"]
        assert await migrator.upgrade() == ["trees:0002", "trees:0003"]
        assert await read_applied(settings, [renumbered]) == {"trees": "0003"}


async def test_the_first_unique_group_is_named_after_its_index_was_created_again(
    migrated: Provision,
) -> None:
    """The order of the declaration counts, and not that in which the database checks its indexes."""

    class Card(Resource, path="cards", owned=False, unique=[("suit", "rank")]):
        """A row that collides in both groups."""

        number: Annotated[int, Unique()]
        suit: int
        rank: int

    first = history_of("cards", [Card.__resource__])
    operations = (MakeOptional("cards", "number"), MakeRequired("cards", "number"))
    again = replace(first.revisions[0], number="0002", operations=operations, before=first.state)
    async with migrated.empty_database() as settings:
        await open_migrator(settings, [replace(first, revisions=(*first.revisions, again))]).upgrade()
        backend = await open_backend(settings, resources=[Card])
        try:
            cards = backend.resources["cards"]
            await cards.add(Card(number=1, suit=1, rank=1))
            other = await cards.add(Card(number=2, suit=2, rank=2))
            with pytest.raises(AlreadyExists, match="another card already has this number"):
                await cards.add(Card(number=1, suit=1, rank=1))
            with pytest.raises(AlreadyExists, match="another card already has this number"):
                await cards.update(other.id, {"number": 1, "suit": 1, "rank": 1})
            with pytest.raises(AlreadyExists, match="another card already has this suit,rank"):
                await cards.update(other.id, {"suit": 1, "rank": 1})
        finally:
            await backend.close()
