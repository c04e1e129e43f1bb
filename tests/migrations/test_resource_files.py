"""The files of revisions of declared resources; none of these tests needs a database."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from backends.models.resources.loading import load_declarations
from migrations import MigrationError
from migrations.resources.changes import changes_of
from migrations.resources.history import History, history_of, read_histories
from migrations.resources.operations import AddResource
from migrations.resources.own_operations import Run
from migrations.resources.writer import write_revision
from tests.api.declared import Author, Book

EVERY_KIND = history_of("library", [Author.__resource__, Book.__resource__])


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
        (
            "name: Annotated[str, Field(max_length=100)]",
            "name: bool",
            "kind of authors.name was text and is bo",
        ),
        ("name:", "title:", "Author.name is not declared any more: give RenamedFrom"),
        (
            'path="books"',
            'path="books", owned=False',
            "Book has no owner any more: write owned=True, or write",
        ),
        (
            'path="books"',
            'path="novels"',
            "Book is not declared any more: declare it again, or write its rem",
        ),
    ],
)
def test_an_ambiguous_or_lossy_change_is_refused(
    tmp_path: Path, before: str, after: str, message: str
) -> None:
    """A change that no operation makes, or that loses data, is refused by name and never guessed."""
    history = read(tmp_path, LIBRARY)
    write_revision(history, "Books", changes_of(history))
    (tmp_path / "other.py").write_text(LIBRARY.replace(before, after))
    (changed,) = read_histories(load_declarations([str(tmp_path / "other.py")]))
    with pytest.raises(MigrationError, match=message) as caught:
        changes_of(changed)
    assert "\n" not in str(caught.value)


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
        (
            {"0001_a.py": "", "0001_b.py": ""},
            "0001_a.py and 0001_b.py both come after base: rename the one that no database has yet to 000",
        ),
        ({"0001_a.py": "1 / 0"}, "0001_a.py: ZeroDivisionError: division by zero"),
        ({"0001_a.py": "OPERATIONS = ()"}, 'HISTORY is no name; write HISTORY = "library"'),
        ({"0001_a.py": "HISTORY = 'a'\nOPERATIONS = [1]"}, "OPERATIONS is no list of operations"),
        ({"0001_a.py": "HISTORY = 'a'\n"}, "OPERATIONS is no list of operations, such as "),
        *(
            (
                {"0001_a.py": f"from eitherdb.migrations import *\nHISTORY = 'a'\nOPERATIONS = [{text}]"},
                refusal,
            )
            for text, refusal in (
                ('DropField("books", "shelf")', "0001_a.py: there is no resource books; there are: none"),
                ('DropField("books")', "0001_a.py: TypeError: .* missing 1 required positional argument"),
                ('DropField("books", 5)', "0001_a.py: DropField: field=5 can't be; write a string"),
                (
                    'AddField("books", "shelf")',
                    "AddField: field='shelf' can't be; write FieldSpec",
                ),
                ('AddResource("books")', "AddResource: spec='books' can't be; write ResourceSpec"),
                (
                    'AddUnique("books", ["a"])',
                    "AddUnique: fields=\\['a'\\] can't be; write a tuple of names, such as",
                ),
                ('AddMarkers("books", "a", ("nice",))', "AddMarkers: markers=.* can't be; write"),
                (
                    'ChangeReference("books", "a", "maybe")',
                    "on_delete='maybe' can't be; write one of restrict",
                ),
                ('ChangeBounds("books", "a", maximum=[])', "maximum=\\[\\] can't be; write a bound"),
                ("Run(1, 2)", "Run: sql=1 can't be; write a function of a connection"),
            )
        ),
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


def test_branches_that_each_add_a_field_are_merged_by_a_new_number(tmp_path: Path) -> None:
    """The refusal names both files; after one is renamed, nothing else needs an edit."""
    history = read(tmp_path, LIBRARY)
    write_revision(history, "Books", changes_of(history))
    shelf, pages = "    shelf: int | None = None\n", "    pages: int | None = None\n"
    first = read(tmp_path, LIBRARY + shelf, "shelf.py")
    second = read(tmp_path, LIBRARY + pages, "pages.py")
    for name, branch in (("Shelf", first), ("Pages", second)):
        write_revision(branch, name, changes_of(branch))
    with pytest.raises(MigrationError) as caught:
        read(tmp_path, LIBRARY + shelf + pages, "both.py")
    folder = tmp_path / "migrations"
    assert str(caught.value) == (
        f"{folder / '0002_pages.py'} and 0002_shelf.py both come after 0001: rename the one "
        f"that no database "
        "has yet to 0003_….py"
    )
    (folder / "0002_pages.py").rename(folder / "0003_pages.py")
    merged = read(tmp_path, LIBRARY + shelf + pages, "both.py")
    assert merged.numbers == ["0001", "0002", "0003"]
    assert changes_of(merged) == []


def test_a_revision_of_ones_own_is_written_with_functions(tmp_path: Path) -> None:
    """It is a file that can be applied as it is, and leaves the declaration alone."""
    history = read(tmp_path, LIBRARY)
    write_revision(history, "Books", changes_of(history))
    path = write_revision(read(tmp_path, LIBRARY), "Fill", [])
    assert path.name == "0002_fill.py"
    again = read(tmp_path, LIBRARY)
    assert [type(each) for each in again.revisions[-1].operations] == [Run]
    assert changes_of(again) == []
    long = write_revision(again, "ä" * 300, [])
    assert read(tmp_path, LIBRARY).listed()[-1].summary == "ä" * 300
    assert len(long.name.encode()) < 255


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
