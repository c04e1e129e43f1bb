"""The operations of revisions, and their search in a declaration: neither needs a database."""

from __future__ import annotations

from typing import Any

import pytest

from backends.models.resources import FieldSpec
from eitherdb.migrations import (
    AddChoice,
    AddField,
    AddMarkers,
    AddOwner,
    AddResource,
    AddUnique,
    ChangeBounds,
    ChangeReference,
    DropField,
    DropOwner,
    DropResource,
    DropUnique,
    MakeOptional,
    MakeRequired,
    RemoveChoice,
    RemoveMarkers,
    RenameField,
)
from migrations.resources.changes import Given
from tests.unit.changes import BOOKS, edited, found

OPTIONAL_NOTE = "note: Annotated[str | None, Field(max_length=100)] = None"
NOTE = "note: Annotated[str, Field(max_length=100)]"
LATE = AddField(
    "books", FieldSpec(name="late", column="late", kind="boolean", nullable=True, required=False)
)
SHELF = FieldSpec(name="shelf", column="shelf", kind="text", max_length=5, required=True)


@pytest.mark.parametrize(
    ("edits", "given", "expected"),
    [
        ([("Field(ge=1, le=100)]\n", "Field(ge=1, le=100)]\n    late: bool | None = None\n")], {}, [LATE]),
        (
            [("pages:", "shelf: Annotated[str, Field(max_length=5)]\n    pages:")],
            {"values": {"books.shelf": "A"}},
            [AddField("books", SHELF, "A")],
        ),
        (
            [("    pages: Annotated[int, Field(ge=1, le=100)]\n", "")],
            {"drops": ["books.pages"]},
            [DropField("books", "pages")],
        ),
        (
            [("note: Annotated[str | None", 'remark: Annotated[str | None, RenamedFrom("note")')],
            {},
            [RenameField("books", "note", "remark")],
        ),
        ([("le=100", "le=200")], {}, [ChangeBounds("books", "pages", maximum=200)]),
        ([("max_length=13", "max_length=9")], {}, [ChangeBounds("books", "isbn", max_length=9)]),
        (
            [("Annotated[int, Field(ge=1, le=100)]", "Annotated[int | None, Field(ge=1, le=100)]")],
            {},
            [MakeOptional("books", "pages")],
        ),
        (
            [(OPTIONAL_NOTE, NOTE)],
            {},
            [MakeRequired("books", "note")],
        ),
        (
            [(OPTIONAL_NOTE, NOTE)],
            {"values": {"books.note": ""}},
            [MakeRequired("books", "note", "")],
        ),
        (
            [(OPTIONAL_NOTE, f'{NOTE} = "-"')],
            {},
            [MakeRequired("books", "note", "-")],
        ),
        (
            [('"draft", "published"', '"published", "sold", "draft"')],
            {},
            [AddChoice("books", "state", "sold")],
        ),
        ([('"draft", "published"', '"published", "draft"')], {}, []),
        ([('"draft", ', "")], {}, [RemoveChoice("books", "state", "draft")]),
        (
            [('"draft", ', '"lent", ')],
            {"values": {"books.state": "lent"}},
            [AddChoice("books", "state", "lent"), RemoveChoice("books", "state", "draft", "lent")],
        ),
        (
            [("max_length=13), Filterable()", "max_length=13), Sortable(), Searchable()")],
            {},
            [
                RemoveMarkers("books", "isbn", ("filterable",)),
                AddMarkers("books", "isbn", ("sortable", "searchable")),
            ],
        ),
        (
            [("max_length=13)", "max_length=13), Unique()")],
            {},
            [AddUnique("books", ("isbn",))],
        ),
        (
            [(', unique=[("owner_id", "isbn")]', "")],
            {},
            [DropUnique("books", ("owner_id", "isbn"))],
        ),
        ([('[("owner_id", "isbn")]', '[("isbn", "owner_id")]')], {}, []),
        (
            [('unique=[("owner_id", "isbn")]', "owned=False")],
            {"drops": ["books.owner_id"]},
            [DropUnique("books", ("owner_id", "isbn")), DropOwner("books")],
        ),
        ([('authors", owned=False', 'authors"')], {}, [AddOwner("authors")]),
        (
            [('authors", owned=False', 'authors"')],
            {"values": {"authors.owner_id": "ada@example.com"}},
            [AddOwner("authors", "ada@example.com")],
        ),
        (
            [('Reference("authors")', 'Reference("authors", on_delete="set_null")')],
            {},
            [ChangeReference("books", "author_id", "set_null")],
        ),
        # Only the code knows these.
        ([("max_length=13)", "max_length=13, pattern='^[0-9]+$')")], {}, []),
        ([('"""A book."""', '"""A novel."""'), ("Book(", "Novel(")], {}, []),
    ],
)
def test_changes_are_found(
    edits: list[tuple[str, str]], given: dict[str, Any], expected: list[Any]
) -> None:
    """Each operation is found, and leads from the one declaration to the other."""
    assert found(edited(*edits), Given(**given)) == expected


def test_resources_are_added_and_dropped_in_an_order_that_is_possible() -> None:
    """A field may refer to a new resource, and what refers to a dropped one is dropped before."""
    shop = '\nclass Shop(Resource, path="shops", owned=False):\n    number: int\n'
    shop += '    author_id: Annotated[str, Reference("authors")]\n'
    source = edited(
        ("owned=False):", 'owned=False):\n    shop_id: Annotated[str | None, Reference("shops")] = None')
    )
    grown = source + shop
    assert [type(each) for each in found(grown)] == [AddResource, AddField]
    without_author = Given(["books.author_id", "authors"])
    books = BOOKS[BOOKS.index("class Book") :].replace(
        '    author_id: Annotated[str | None, Reference("authors")] = None\n', ""
    )
    assert found(books, without_author) == [DropField("books", "author_id"), DropResource("authors")]
    circle = found(books, Given(["books.author_id", "authors", "shops"]), before=grown)
    assert circle == [
        DropField("books", "author_id"),
        DropField("shops", "author_id"),
        DropResource("authors"),
        DropResource("shops"),
    ]


FIELD = "    {}: Annotated[int | None, Field(ge={})] = None\n"
THINGS = 'class Thing(Resource, path="things"):\n'
RENAMED = "    {}: Annotated[int | None, Field(ge={}), RenamedFrom({!r})] = None\n"


@pytest.mark.parametrize(
    ("fields", "drops", "expected"),
    [
        ([("b", 1, "a"), ("a", 2, "b")], [], [("a", "a_before"), ("b", "a"), ("a_before", "b")]),
        (
            [("b", 1, "a"), ("c", 2, "b"), ("a", 3, "c")],
            [],
            [("a", "a_before"), ("c", "a"), ("b", "c"), ("a_before", "b")],
        ),
        ([("b", 1, "a"), ("d", 2, "b"), ("c", 3, "c")], [], [("b", "d"), ("a", "b")]),
        ([("b", 1, "a")], ["things.b", "things.c"], ["b", ("a", "b"), "c"]),
    ],
)
def test_names_that_are_taken_are_exchanged(
    fields: list[tuple[str, int, str]], drops: list[str], expected: list[Any]
) -> None:
    """A field may get the name of another one, which gets another name or is dropped."""
    names = [*"abc"][: max(2, len(fields) + len(drops))]
    before = THINGS + "".join(FIELD.format(name, least) for least, name in enumerate(names, 1))
    lines = [
        FIELD.format(name, least) if name == column else RENAMED.format(name, least, column)
        for name, least, column in fields
    ]
    operations = found(THINGS + "".join(lines), Given(drops), before=before)
    shown = [(each.field, each.to) if isinstance(each, RenameField) else each.field for each in operations]
    assert shown == expected
