"""Stored rows of declared resources for `eitherdb check --rows`."""

from __future__ import annotations

import pytest

from backends.models import NewUser
from backends.protocols import Backend
from backends.rows.walk import RowWalk

from .declared import Author, Book
from .resource_rows import Rows
from .subjects import Subject
from .test_stored_rows import HASH

NUMBER = 12

pytestmark = pytest.mark.rule("Null", "Order")


async def test_check_of_stored_resource_rows_finds_no_violation(rows: Rows, subject: Subject) -> None:
    """The check visits the rows of every resource; values of every kind have their form."""
    added = [await rows.add(subject.cls) for _ in range(rows.capacity(subject.cls, NUMBER))]
    report = await RowWalk(rows.backend, resources=subject.together).run()
    assert report.faults == []
    assert report.rows[subject.name] >= len(added)


async def test_read_rows_orders_resources_by_a_unique_group(library: Backend) -> None:
    """Ascending, from a place on. Rows with a null in the group are left out."""
    authors = library.resources["authors"]
    for code in ("c", None, "a", "b", None):
        await authors.add(Author(name="Ada", code=code))
    rows = await library.read_rows("authors", by=("code",), start=None, limit=1000)
    assert [row.fields["code"] for row in rows] == ["a", "b", "c"]
    assert await library.read_rows("authors", by=("code",), start=rows[1].place, limit=1) == rows[1:2]

    author = rows[0].fields["id"]
    for n in range(2):
        owner = await library.users.add(NewUser(email=f"u{n}@example.com", hashed_password=HASH))
        for isbn in ("002", "001"):
            await library.resources["books"].add(Book(isbn=isbn, author_id=author), owner_id=owner.id)
    by = ("owner_id", "isbn")
    books = await library.read_rows("books", by=by, start=None, limit=1000)
    values = [tuple(row.fields[name] for name in by) for row in books]
    assert values == sorted(values)
    assert len(values) == 4
