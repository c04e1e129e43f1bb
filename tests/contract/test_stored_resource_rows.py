"""Stored rows of declared resources for `eitherdb check --rows`."""

from __future__ import annotations

import pytest

from backends.models import NewUser
from backends.protocols import Backend
from backends.rows.walk import RowWalk

from .declared import DECLARED, Author, Book, Sample
from .test_resource_values import SAMPLES
from .test_stored_rows import HASH

pytestmark = pytest.mark.rule("Null", "Order")


async def test_check_of_stored_resource_rows_finds_no_violation(library: Backend) -> None:
    """The check visits the rows of every resource; values of every kind have their form."""
    owner = await library.users.add(NewUser(email="ada@example.com", hashed_password=HASH))
    for given in SAMPLES:
        await library.resources["samples"].add(Sample(**given), owner_id=owner.id)
    author = await library.resources["authors"].add(Author(name="Ada", code="a"))
    await library.resources["books"].add(Book(isbn="001", author_id=author.id), owner_id=owner.id)

    report = await RowWalk(library, resources=DECLARED).run()

    assert report.faults == []
    # Nothing deletes the idempotency keys of other tests.
    found = {kind: n for kind, n in report.rows.items() if n and kind != "idempotency_keys"}
    assert found == {"users": 1, "samples": len(SAMPLES), "authors": 1, "books": 1}


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
