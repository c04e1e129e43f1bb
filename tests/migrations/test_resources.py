"""The revisions of declared resources, on every database."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated

import pytest
from pydantic import Field

from backends import open_backend
from backends.errors import ForeignSchema, ResourcesMissing, SchemaMismatch
from backends.models.resources.loading import load_declarations
from config import Settings
from eitherdb import Reference, Resource, Sortable
from migrations import MigrationError, open_migrator
from migrations.resources.changes import changes_of
from migrations.resources.history import History, history_of, read_histories
from migrations.resources.operations import AddResource
from migrations.resources.writer import write_revision
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


LIBRARY = '''
from typing import Annotated
from pydantic import Field
from eitherdb import Reference, Resource

class Book(Resource, path="books"):
    """A book."""
    author_id: Annotated[str, Reference("authors")]

class Author(Resource, path="authors"):
    """An author."""
    name: Annotated[str, Field(max_length=100)]
'''


def read(folder: Path, text: str, name: str = "library.py") -> History:
    """Write a declaration and read its history."""
    (folder / name).write_text(text)
    (history,) = read_histories(load_declarations([str(folder / name)]))
    return history


def test_revision_is_written_from_the_declaration(tmp_path: Path) -> None:
    """The file is deterministic, has targets first, and adds up to the declaration."""
    history = read(tmp_path, LIBRARY)
    operations = changes_of(history)
    specs = [each.spec for each in operations if isinstance(each, AddResource)]
    assert [spec.name for spec in specs] == ["authors", "books"]
    path = write_revision(history, 'Books "and" authors.', operations)
    assert path == tmp_path / "migrations" / "0001_books_and_authors.py"
    text = path.read_text()
    assert text.startswith(
        '"""Books "and" authors."""\n\nfrom eitherdb.migrations import Access, AddResource, '
    )
    again = read(tmp_path, LIBRARY)
    assert (again.name, again.numbers, changes_of(again)) == ("library", ["0001"], [])
    assert list(again.state.values()) == specs
    assert [each.summary for each in again.listed()] == ['Books "and" authors']
    path.unlink()
    assert write_revision(read(tmp_path, LIBRARY), 'Books "and" authors.', operations).read_text() == text


async def test_revision_with_every_kind_is_read_as_it_was_written(tmp_path: Path) -> None:
    """Nothing of a specification is lost in a file."""
    empty = History("library", tmp_path / "migrations", (), EVERY_KIND.declared)
    write_revision(empty, "Everything", changes_of(empty))
    assert list(read(tmp_path, LIBRARY).state.values()) == list(EVERY_KIND.declared)


@pytest.mark.parametrize(
    ("before", "after", "message"),
    [
        ("max_length=100", "max_length=99", "max_length of name was 100 and is 99"),
        ("name:", "title:", "the field name is gone"),
        ('path="books"', 'path="books", owned=False', "owned was True and is False"),
        ('path="books"', 'path="books", unique=[["author_id"]]', "the unique groups are others"),
        ('path="books"', 'path="novels"', "Book is not declared any more"),
    ],
)
def test_a_change_without_an_operation_is_refused(
    tmp_path: Path, before: str, after: str, message: str
) -> None:
    """A change that no operation makes is refused by name, and never ignored."""
    history = read(tmp_path, LIBRARY)
    write_revision(history, "Books", changes_of(history))
    (tmp_path / "other.py").write_text(LIBRARY.replace(before, after))
    (changed,) = read_histories(load_declarations([str(tmp_path / "other.py")]))
    with pytest.raises(MigrationError, match=message) as caught:
        changes_of(changed)
    assert "\n" not in str(caught.value)
    assert "`eitherdb migrate downgrade library:base`" in str(caught.value)


def test_refusal_of_a_change_names_the_revision_before_the_one_to_undo(tmp_path: Path) -> None:
    """The books were added by the second revision."""
    imports, author = LIBRARY.index("class "), LIBRARY.index("class Author")
    for text, summary in ((LIBRARY[:imports] + LIBRARY[author:], "Authors"), (LIBRARY, "Books")):
        history = read(tmp_path, text, f"{summary.lower()}.py")
        write_revision(history, summary, changes_of(history))
    changed = read(tmp_path, LIBRARY.replace('path="books"', 'path="books", owned=False'), "changed.py")
    with pytest.raises(
        MigrationError, match="`eitherdb migrate downgrade authors:0001`, which loses its rows"
    ):
        changes_of(changed)


@pytest.mark.parametrize(
    ("before", "after"),
    [("An author.", "A writer."), ('path="books"', 'path="books", access={"read": "anyone"}')],
)
def test_a_change_that_no_database_stores_needs_no_revision(
    tmp_path: Path, before: str, after: str
) -> None:
    """Texts and access are the code's alone."""
    history = read(tmp_path, LIBRARY)
    write_revision(history, "Books", changes_of(history))
    (tmp_path / "other.py").write_text(LIBRARY.replace(before, after))
    (changed,) = read_histories(load_declarations([str(tmp_path / "other.py")]))
    assert changes_of(changed) == []


@pytest.mark.parametrize(
    ("files", "message"),
    [
        (
            {"0002_b.py": ""},
            "0002_b.py: the revisions of a folder are 0001_….py, .*this would be 0001_….py",
        ),
        ({"0001_a.py": "", "0001_b.py": ""}, "0001_b.py: .* each once"),
        ({"0001_a.py": "1 / 0"}, "0001_a.py: ZeroDivisionError: division by zero"),
        ({"0001_a.py": "OPERATIONS = ()"}, 'HISTORY is no name; write HISTORY = "library"'),
        ({"0001_a.py": "HISTORY = 'a'\nOPERATIONS = [1]"}, "OPERATIONS is no list of operations"),
        (
            {f"000{i}_a.py": f"HISTORY = 'a{i}'\nOPERATIONS = ()" for i in (1, 2)},
            "the files give HISTORY a1 and a2: make it one name",
        ),
    ],
)
def test_files_that_are_no_history_are_refused(tmp_path: Path, files: dict[str, str], message: str) -> None:
    """Gaps, forks and broken files are refused by their names."""
    (tmp_path / "migrations").mkdir()
    for name, text in files.items():
        # An empty file stands for a valid one.
        (tmp_path / "migrations" / name).write_text(text or "HISTORY = 'a'\nOPERATIONS = ()\n")
    with pytest.raises(MigrationError, match=message) as caught:
        read(tmp_path, LIBRARY)
    assert "\n" not in str(caught.value)


def test_folders_have_a_history_each(tmp_path: Path) -> None:
    """Files of a folder share its history, a package has its own; histories come after their targets."""
    imports, book, author = re.split("(?=class )", LIBRARY)
    shop = imports + book.replace("Book", "Shop").replace("books", "shops")
    for name, text in {
        "a/books.py": imports + book,
        "shop/__init__.py": shop,
        "b.py": imports + author,
    }.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    sources = [str(tmp_path / each) for each in ("a/books.py", "shop", "b.py")]
    found = read_histories(load_declarations(sources))
    assert [(each.name, each.folder.relative_to(tmp_path).as_posix()) for each in found] == [
        ("b", "migrations"),
        ("books", "a/migrations"),
        ("shop", "shop/migrations"),
    ]
