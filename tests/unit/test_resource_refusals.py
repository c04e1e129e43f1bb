"""Changes of declarations that are refused: the message says what to write."""

from __future__ import annotations

from typing import Any

import pytest

from eitherdb.migrations import RenameField
from migrations import MigrationError
from migrations.resources.changes import Given
from tests.unit.changes import BOOKS, edited, found


@pytest.mark.parametrize(
    ("edits", "given", "refusal", "remedy"),
    [
        (
            [("note:", "remark:")],
            {},
            (
                'Book.note is not declared any more: give RenamedFrom("note") to the field that has '
                "its values "
                "now, or write its removal with `eitherdb migrate revision -m … --drop books.note`"
            ),
            {"drops": ["books.note"]},
        ),
        (
            [("note:", "remark:")],
            {},
            "Book.note is not declared any more",
            [("note: Annotated[str | None", 'remark: Annotated[str | None, RenamedFrom("note")')],
        ),
        (
            [("    pages:", "    shelf: Annotated[str, Field(max_length=5)]\n    pages:")],
            {},
            (
                "books.shelf is new and never null, and existing rows need a value: let it have a "
                "default or be "
                "`| None`, or give one in JSON with `eitherdb migrate revision -m … --value books.shelf=…`"
            ),
            {"values": {"books.shelf": "A"}},
        ),
        (
            [("    pages:", "    shelf: Annotated[str, Field(max_length=5)]\n    pages:")],
            {},
            "books.shelf is new and never null",
            [("    pages:", "    shelf: Annotated[str | None, Field(max_length=5)]\n    pages:")],
        ),
        (
            [("    pages:", "    shelf: Annotated[str, Field(max_length=5)]\n    pages:")],
            {"values": {"books.shelf": "too long"}},
            "--value books.shelf: 'too long' is no value of the field: String should have at most 5 ch",
            {"values": {"books.shelf": "A"}},
        ),
        (
            [("    pages:", "    shelf: Annotated[str, Field(max_length=5), Unique()]\n    pages:")],
            {},
            (
                "books.shelf is new, unique and never null, and each existing row needs another "
                "value: let it be "
                "`| None`, fill it with Run(…) in the next revision, and let it never be null after that"
            ),
            [
                (
                    "    pages:",
                    "    shelf: Annotated[str | None, Field(max_length=5), Unique()] = None\n    pages:",
                )
            ],
        ),
        (
            [
                ("    pages:", "    shelf: Annotated[str, Field(max_length=5)] = 'A'\n    pages:"),
                ('("owner_id", "isbn")', '("owner_id", "isbn", "shelf")'),
            ],
            {},
            (
                "the unique group ('owner_id', 'isbn', 'shelf') of books can't be added in the "
                "revision that "
                "gives its rows a value: leave it out here, and add it in the next revision"
            ),
            [("    pages:", "    shelf: Annotated[str, Field(max_length=5)] = 'A'\n    pages:")],
        ),
        (
            [(BOOKS[BOOKS.index("class Book") :], "")],
            {},
            (
                "Book is not declared any more: declare it again, or write its removal with `eitherdb "
                "migrate "
                "revision -m … --drop books`"
            ),
            {"drops": ["books"]},
        ),
        (
            [('unique=[("owner_id", "isbn")]', "owned=False")],
            {},
            (
                "Book has no owner any more: write owned=True, or write its removal with `eitherdb migrate "
                "revision -m … --drop books.owner_id`"
            ),
            {"drops": ["books.owner_id"]},
        ),
        (
            [("pages: Annotated[int, Field(ge=1, le=100)]", "pages: Annotated[str, Field(max_length=3)]")],
            {},
            (
                "kind of books.pages was integer and is text, and no operation changes that: add a "
                "field of "
                "another name, fill it with Run(…) in the next revision, and drop pages in the one after"
            ),
            [("    pages:", "    length: Annotated[str | None, Field(max_length=3)] = None\n    pages:")],
        ),
        (
            [('Reference("authors")', 'Reference("users")')],
            {},
            "target of books.author_id was authors and is users, and no operation changes that",
            [
                (
                    "    author_id:",
                    '    user_id: Annotated[str | None, Reference("users")] = None\n    author_id:',
                )
            ],
        ),
        (
            [("note:", "remark:")],
            {"drops": ["books.note", "books.notes"], "values": {"books.shelf": 1}},
            "--drop and --value: nothing in this revision is about books.notes, books.shelf",
            {"drops": ["books.note"]},
        ),
    ],
)
def test_a_refusal_says_what_to_write(
    edits: list[tuple[str, str]], given: dict[str, Any], refusal: str, remedy: Any
) -> None:
    """What a refusal names is possible: another declaration, or what the command is given."""
    with pytest.raises(MigrationError) as caught:
        found(edited(*edits), Given(**given))
    assert str(caught.value).startswith(refusal)
    assert "\n" not in str(caught.value)
    if isinstance(remedy, dict):
        assert found(edited(*edits), Given(**remedy))
    else:
        assert found(edited(*remedy))


def test_the_marker_of_a_renamed_field_stays() -> None:
    """Without it, the field would be another one; the refusal gives the oldest name."""
    renamed = edited(("note: Annotated[str | None", 'remark: Annotated[str | None, RenamedFrom("note")'))
    with pytest.raises(
        MigrationError, match=r"Book.remark has another column: write RenamedFrom\(\"note\"\), as b"
    ):
        found(edited(("note:", "remark:")), before=renamed)
    with pytest.raises(MigrationError, match=r"give RenamedFrom\(\"note\", \"remark\"\) to the field"):
        found(
            edited(("note: Annotated[str | None", 'text: Annotated[str | None, RenamedFrom("remark")')),
            before=renamed,
        )
    again = edited(
        ("note: Annotated[str | None", 'text: Annotated[str | None, RenamedFrom("note", "remark")')
    )
    assert found(again, before=renamed) == [RenameField("books", "remark", "text")]
    with pytest.raises(
        MigrationError, match=r"Book.note has another column: leave RenamedFrom\(…\) out, as before"
    ):
        found(edited(("note: Annotated[str | None", 'note: Annotated[str | None, RenamedFrom("x")')))
