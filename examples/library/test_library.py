"""Tests of the library, on the database that DB_BACKEND selects: `pytest examples/library`."""

from __future__ import annotations

from typing import Any

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


@pytest.fixture
async def book(ada: Client, author: Author) -> dict[str, Any]:
    """Return a draft of Ada's."""
    new = {"title": "Frankenstein", "isbn": ISBN, "author_id": author.id, "price": "12.5"}
    added: dict[str, Any] = (await ada.post("/books/", json=new)).raise_for_status().json()
    return added


async def test_superusers_add_authors(service: Service, ada: Client) -> None:
    """Everybody else reads them."""
    root = await service.sign_up(is_superuser=True)
    new = {"name": "Mary Shelley"}

    assert (await ada.post("/authors/", json=new)).status_code == 403
    assert (await root.post("/authors/", json=new)).status_code == 200

    (found,) = (await ada.get("/authors/")).json()["data"]
    assert found["name"] == "Mary Shelley"


async def test_published_book_needs_a_date(ada: Client, book: dict[str, Any]) -> None:
    """The rule holds for new books and for changed ones."""
    with pytest.raises(ValidationError, match="a published book needs published_on"):
        Book.model_validate({**book, "state": "published"})

    refused = await ada.patch(f"/books/{book['id']}", json={"state": "published"})
    assert refused.status_code == 422

    changes = {"state": "published", "published_on": "1818-01-01"}
    changed = await ada.patch(f"/books/{book['id']}", json=changes)
    assert changed.json() == {**book, **changes}


async def test_author_of_a_book_stays(service: Service, ada: Client, book: dict[str, Any]) -> None:
    """Until the book is deleted."""
    root = await service.sign_up(is_superuser=True)

    refused = await root.delete(f"/authors/{book['author_id']}")

    assert (refused.status_code, refused.json()["code"]) == (409, "still_referenced")
    assert (await ada.delete(f"/books/{book['id']}")).status_code == 200
    assert (await root.delete(f"/authors/{book['author_id']}")).status_code == 200


async def test_only_the_owner_publishes_a_book(service: Service, ada: Client, book: dict[str, Any]) -> None:
    """The book gets the date that the rule asks for."""
    bob = await service.sign_up()

    assert (await bob.post(f"/books/{book['id']}/publication")).status_code == 403
    assert (await ada.post(f"/books/{book['id']}/publication")).status_code == 200

    published = await service.repository(Book).get(book["id"])
    assert published.state == "published"
    assert published.published_on is not None
