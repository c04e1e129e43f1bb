"""A library: authors, whom everybody reads, and books of one's own."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Annotated, Literal, Self

from fastapi import APIRouter
from pydantic import Field, model_validator

from eitherdb import Filterable, Reference, Resource, Searchable, Sortable
from eitherdb.routes import CurrentUser, Repository, owner_scope


class Author(Resource, path="authors", owned=False):
    """Somebody who writes books. Everybody who is signed in reads them; superusers change them."""

    name: Annotated[str, Field(min_length=1, max_length=100), Sortable(), Searchable()]


class Book(Resource, path="books", unique=[("owner_id", "isbn")]):
    """A book of one's own."""

    title: Annotated[str, Field(min_length=1, max_length=255), Sortable(), Searchable()]
    isbn: Annotated[str, Field(pattern=r"^[0-9]{13}$"), Filterable()]
    author_id: Annotated[str, Reference("authors", on_delete="restrict"), Filterable()]
    price: Annotated[Decimal, Field(max_digits=12, decimal_places=2, ge=0), Sortable(), Filterable()]
    state: Annotated[Literal["draft", "published"], Filterable()] = "draft"
    published_on: date | None = None
    tags: Annotated[list[Annotated[str, Field(max_length=30)]], Field(max_length=20), Filterable()] = []

    @model_validator(mode="after")
    def _published_books_have_a_date(self) -> Self:
        if self.state == "published" and self.published_on is None:
            raise ValueError("a published book needs published_on")
        return self


router = APIRouter(prefix="/books")


@router.post("/{book_id}/publication")
async def publish_book(book_id: str, user: CurrentUser, books: Repository[Book]) -> Book:
    """Publish a book of your own today."""
    changes = {"state": "published", "published_on": datetime.now(UTC).date()}
    return await books.update(book_id, changes, owner_id=owner_scope(user))


routers = [router]
