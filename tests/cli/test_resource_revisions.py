"""The commands for revisions of declared resources that change."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from tests.cli.command import Result, call, call_async, serving

pytestmark = pytest.mark.one_backend

BOOKS = '''
from typing import Annotated
from pydantic import Field
from eitherdb import Reference, RenamedFrom, Resource

class Book(Resource, path="books", owned=False):
    """A book."""
    title: Annotated[str, Field(max_length=100)]
    note: Annotated[str | None, Field(max_length=100)] = None
'''
SHELF = "    shelf: Annotated[str, Field(max_length=5)]\n"


class Library:
    """A folder with a declaration, its revisions and a SQLite database."""

    def __init__(self, folder: Path) -> None:
        """Declare books."""
        self.folder = folder
        self.declare(BOOKS)

    def declare(self, text: str) -> None:
        """Write the declaration. A process loads a file once, so that each has its own name."""
        self.name = f"library{len(list(self.folder.glob('*.py')))}.py"
        (self.folder / self.name).write_text(text)

    def call(self, *arguments: str) -> Result:
        """Run a command."""
        return call(self.folder, *arguments, RESOURCES=self.name)

    def revise(self, message: str, *arguments: str) -> Result:
        """Write a revision."""
        return self.call("migrate", "revision", "-m", message, *arguments)

    def file(self, name: str) -> str:
        """Return the text of a revision."""
        return (self.folder / "migrations" / name).read_text()


@pytest.fixture
def library(tmp_path: Path) -> Library:
    """Return a folder whose first revision is written."""
    found = Library(tmp_path)
    assert found.revise("Books").exit_code == 0
    return found


def test_a_revision_needs_decisions(library: Library) -> None:
    """What the declaration does not say is asked for, and given as an option."""
    library.declare(BOOKS.replace("    note:", f"{SHELF}    remark:"))
    refused = library.revise("Shelf").refusal()
    assert refused.startswith('Book.note is not declared any more: give RenamedFrom("note") to the field ')
    refused = library.revise("Shelf", "--drop", "books.note").refusal()
    assert refused.startswith("books.shelf is new and never null, and existing rows need a value: let it ")
    refused = library.revise("Shelf", "--drop", "books.note", "--value", "books.shelf=A").refusal()
    assert refused == (
        "--value books.shelf=A: write the name and a value in JSON, such as --value 'books.shelf=\"A\"'"
    )
    refused = library.revise("Shelf", "--drop", "books.note", "--value", 'books.shelf="too long"').refusal()
    assert "'too long' is no value of the field: String should have at most 5 characters" in refused
    refused = library.revise("Shelf", "--drop", "novels").refusal()
    assert refused == "--drop and --value: there is no resource of novels; there are: books"
    assert [each.name for each in (library.folder / "migrations").iterdir()] == ["0001_books.py"]
    done = library.revise("Shelf", "--drop", "books.note", "--value", 'books.shelf="A"')
    assert done.out == "Wrote migrations/0002_shelf.py; read it, then run `eitherdb migrate upgrade`.\n"
    assert library.file("0002_shelf.py") == (
        '"""Shelf."""\n\nfrom eitherdb.migrations import AddField, DropField, FieldSpec\n\n'
        'HISTORY = "library0"\n\nOPERATIONS = (\n    AddField(\n        resource="books",\n'
        '        field=FieldSpec(name="shelf", column="shelf", kind="text", max_length=5),\n'
        '        value="A",\n    ),\n    AddField(\n        resource="books",\n        field=FieldSpec(\n'
        '            name="remark",\n            column="remark",\n            kind="text",\n'
        "            nullable=True,\n            required=False,\n            max_length=100,\n        ),\n"
        '    ),\n    DropField(resource="books", field="note"),\n)\n'
    )


def test_an_upgrade_that_loses_data_is_asked_for(library: Library) -> None:
    """Without the option, nothing is changed; `downgrade` undoes what can be."""
    library.declare(BOOKS.partition("    note:")[0])
    assert library.revise("No notes", "--drop", "books.note").exit_code == 0
    assert library.call("migrate", "upgrade", "library0:0001").out.endswith("library0:0001 applied\n")
    refused = library.call("migrate", "upgrade").refusal()
    assert refused == (
        "revision library0:0002 loses the values of books.note: run `eitherdb migrate "
        "upgrade --destructive` "
        "if they are to go; nothing was changed"
    )
    for command in (("serve", "--migrate"), ("dev",)):
        refused = library.call(*command).refusal()
        assert refused.startswith("revision library0:0002 loses the values of books.note: run `eitherdb ")
        assert ("dev --destructive" in refused) == (command == ("dev",))
    assert library.call("migrate", "upgrade", "--destructive").out == "library0:0002 applied\n"
    assert library.call("migrate", "check").out == "The database has the declared schema.\n"
    assert library.call("migrate", "history").out.endswith(
        "library0:0001  Books\nlibrary0:0002  No notes\n"
    )
    assert library.call("migrate", "current").out.endswith("library0:0002\n")
    assert library.call("migrate", "downgrade", "library0:0001", "--yes").out == "library0:0002 undone\n"
    assert library.call("migrate", "current").out.endswith("library0:0001\n")
    refused = library.call("serve").refusal()
    assert (
        "(library0:0001) are older than their revisions (library0:0002): run `eitherdb migrate" in refused
    )


def test_rows_that_break_a_rule_are_named(library: Library) -> None:
    """The refusal is one line, and the upgrade goes on when the rows are corrected."""
    library.declare(BOOKS.replace("owned=False", 'owned=False, unique=[("title",)]'))
    assert library.revise("Titles").exit_code == 0
    assert library.call("migrate", "upgrade", "library0:0001").exit_code == 0
    (database,) = library.folder.glob("**/*.db")
    with sqlite3.connect(database) as connection:
        for number in (1, 2):
            connection.execute(
                "INSERT INTO books (id, title, created_at, version) VALUES (?, 'Emma', "
                "'2026-01-01 00:00:00.000', 1)",
                (number.to_bytes(12),),
            )
    refused = library.call("migrate", "upgrade").refusal()
    assert refused == (
        "revision library0:0002: books.title has the same value in 000000000000000000000001, "
        "000000000000000000000002; this revision changed nothing; correct these rows and run "
        "`eitherdb migrate upgrade` "
        "again"
    )
    with sqlite3.connect(database) as connection:
        connection.execute("UPDATE books SET title = 'Persuasion' WHERE id = ?", ((2).to_bytes(12),))
    assert library.call("migrate", "upgrade").out == "library0:0002 applied\n"


def test_an_operation_of_ones_own(library: Library) -> None:
    """`--empty` writes a file with functions to fill in; what can't be undone says so."""
    done = library.revise("Titles in capitals", "--empty")
    assert done.out.startswith("Wrote migrations/0002_titles_in_capitals.py; read it")
    refused = library.revise("More", "--empty", "--drop", "books").refusal()
    assert refused == "--empty: a revision without operations drops nothing and gives no values"
    path = library.folder / "migrations" / "0002_titles_in_capitals.py"
    body = '    connection.exec_driver_sql("UPDATE books SET title = upper(title)")\n'
    path.write_text(
        path.read_text().replace('transaction of the migration."""\n', f'transaction."""\n{body}')
    )
    assert body in path.read_text()
    assert library.call("migrate", "upgrade", "library0:0001").exit_code == 0
    (database,) = library.folder.glob("**/*.db")
    with sqlite3.connect(database) as connection:
        connection.execute(
            "INSERT INTO books (id, title, created_at, version) VALUES "
            "(x'000000000000000000000001', 'Emma', "
            "'2026-01-01 00:00:00.000', 1)"
        )
    assert library.call("migrate", "upgrade").out == "library0:0002 applied\n"
    with sqlite3.connect(database) as connection:
        assert connection.execute("SELECT title FROM books").fetchall() == [("EMMA",)]
    refused = library.call("migrate", "downgrade", "library0:0001", "--yes").refusal()
    assert refused == (
        "revision 0002 can't be undone: an operation of its own says nothing about how "
        "it is undone: undo_sql, "
        "undo_mongo"
    )


@pytest.mark.parametrize(
    ("operation", "refusal"),
    [
        ('DropField("books", "shelf")', "books has no field shelf; it has: title, note"),
        (
            'DropField("books")',
            "TypeError: DropField.__init__() missing 1 required positional argument: 'field'",
        ),
        ("5", "OPERATIONS is no list of operations, such as AddResource"),
        (
            'AddUnique("books", ["title"])',
            "AddUnique: fields=['title'] can't be; write a tuple of names, such ",
        ),
    ],
)
def test_an_invalid_operation_is_named_with_its_file(
    library: Library, operation: str, refusal: str
) -> None:
    """Each command refuses the file in one line."""
    (library.folder / "migrations" / "0002_wrong.py").write_text(
        f'from eitherdb.migrations import *\nHISTORY = "library0"\nOPERATIONS = [{operation}]\n'
    )
    for command in (("migrate", "upgrade"), ("migrate", "history"), ("serve",), ("dev",)):
        refused = library.call(*command).refusal()
        assert refused.startswith(f"migrations/0002_wrong.py: {refusal}")


async def test_dev_writes_what_is_clear_and_refuses_what_is_not(library: Library) -> None:
    """A refusal comes before a server starts; a clear change is written and applied."""
    library.declare(BOOKS.replace("note:", "remark:"))
    refused = (
        await call_async(library.folder, "dev", DB_BACKEND="postgres", RESOURCES=library.name)
    ).refusal()
    assert refused.startswith("Book.note is not declared any more: give RenamedFrom(")
    refused = (await call_async(library.folder, "serve", RESOURCES=library.name)).refusal()
    assert not (library.folder / ".data" / "postgres").exists()
    library.declare(
        BOOKS.replace("note: Annotated[str | None", 'remark: Annotated[str | None, RenamedFrom("note")')
    )
    async with serving(library.folder, "dev", RESOURCES=library.name) as server:
        assert (
            "Wrote migrations/0002_rename_books_note_to_remark.py, because the declaration has changes "
            "without a revision"
        ) in server.output
        assert "Applied migration library0:0002" in server.output


def test_a_database_with_another_revision_of_the_number_is_refused(library: Library) -> None:
    """Two branches wrote a second revision; the database has the one that got another number."""
    library.declare(BOOKS + "    pages: int | None = None\n")
    assert library.revise("Pages").exit_code == 0
    assert library.call("migrate", "upgrade").exit_code == 0
    (library.folder / "migrations" / "0002_pages.py").rename(library.folder / "pages.txt")
    library.declare(BOOKS + "    weight: int | None = None\n")
    assert library.revise("Weight").exit_code == 0
    (library.folder / "pages.txt").rename(library.folder / "migrations" / "0003_pages.py")
    library.declare(BOOKS + "    weight: int | None = None\n    pages: int | None = None\n")
    for command in (("migrate", "upgrade"), ("serve",), ("dev",)):
        assert (
            library.call(*command)
            .refusal()
            .startswith(
                "the database has library0:0002 as 'Pages', but the file is 'Weight': run "
                "`eitherdb migrate "
                "downgrade library0:0001` with the file that was applied, and then "
            )
        )


def test_histories_get_what_concerns_them(tmp_path: Path) -> None:
    """Two folders have a history each; nothing is written before all revisions are possible."""
    for name in ("books", "films"):
        (tmp_path / name).mkdir()
        text = BOOKS.replace("Book(", f"{name.title()[:-1]}(").replace('"books"', f'"{name}"')
        (tmp_path / name / f"{name}.py").write_text(text)
        (tmp_path / name / "without_notes.py").write_text(text.partition("    note:")[0])

    def revise(files: str, *arguments: str) -> Result:
        return call(tmp_path, "migrate", "revision", "-m", "Next", *arguments, RESOURCES=files)

    assert revise("books/books.py,films/films.py").exit_code == 0
    both = "books/without_notes.py,films/without_notes.py"
    refused = revise(both, "--empty").refusal()
    assert refused == "--empty: there are several histories, books, films; set RESOURCES to one of them"
    refused = revise(both, "--drop", "books.note").refusal()
    assert refused.startswith("Film.note is not declared any more: ")
    assert len([*tmp_path.glob("*/migrations/*.py")]) == 2
    assert revise(both, "--drop", "books.note", "--drop", "films.note").out.count("Wrote ") == 2
    assert revise("books/without_notes.py", "--empty").out.startswith("Wrote books/migrations/0003_next.py")
    refused = revise("", "--drop", "books.note").refusal()
    assert refused == "--drop, --value and --empty are about declared resources: set RESOURCES"
