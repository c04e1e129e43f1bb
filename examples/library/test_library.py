"""Tests of the library, on the database that DB_BACKEND selects: `pytest examples/library`."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from eitherdb.testing import Client, Service
from library import Author, Book

ISBN = "9780306406157"


@pytest.fixture
async def ada(service: Service) -> Client:
    """Return a client that is signed in."""
    return await service.sign_up("ada@example.com")


@pytest.fixture
async def author(service: Service) -> Author:
    """Return a stored author."""
    return await service.repository(Author).add(Author(name="Mary Shelley"))


async def test_superusers_add_authors(service: Service, ada: Client) -> None:
    """Everybody else reads them."""
    root = await service.sign_up(is_superuser=True)
    new = {"name": "Mary Shelley"}

    assert (await ada.post("/authors/", json=new)).status_code == 403
    assert (await root.post("/authors/", json=new)).status_code == 200

    (found,) = (await ada.get("/authors/")).json()["data"]
    assert found["name"] == "Mary Shelley"


async def test_published_book_needs_a_date(ada: Client, author: Author) -> None:
    """The rule holds for new books and for changed ones."""
    new = {"title": "Frankenstein", "isbn": ISBN, "author_id": author.id, "price": "12.5"}
    with pytest.raises(ValidationError, match="a published book needs published_on"):
        Book.model_validate({**new, "state": "published"})

    book = (await ada.post("/books/", json=new)).json()
    path = f"/books/{book['id']}"
    assert (await ada.patch(path, json={"state": "published"})).status_code == 422
    dated = {"state": "published", "published_on": "1818-01-01"}
    assert (await ada.patch(path, json=dated)).json()["published_on"] == "1818-01-01"


async def test_author_of_a_book_stays(service: Service, ada: Client, author: Author) -> None:
    """Until the book is deleted."""
    root = await service.sign_up(is_superuser=True)
    new = {"title": "Frankenstein", "isbn": ISBN, "author_id": author.id, "price": "12.5"}
    book = (await ada.post("/books/", json=new)).json()

    refused = await root.delete(f"/authors/{author.id}")

    assert (refused.status_code, refused.json()["code"]) == (409, "still_referenced")
    assert (await ada.delete(f"/books/{book['id']}")).status_code == 200
    assert (await root.delete(f"/authors/{author.id}")).status_code == 200
