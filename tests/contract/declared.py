"""Declared resources: every kind of field, references of every kind, and a rule over two fields."""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, EmailStr, Field, JsonValue, model_validator

from eitherdb import (
    Filterable,
    ReadOnly,
    Reference,
    RenamedFrom,
    Resource,
    Searchable,
    Sortable,
    Unique,
)


class Size(BaseModel):
    """A nested model."""

    width: int
    height: float = 1.0


class Sample(Resource, path="samples", public_when={"state": "open"}):
    """A row with every kind of field."""

    # Each was renamed, and has the column of the other's name.
    text: Annotated[
        str, Field(max_length=100), Sortable(), Filterable(), Searchable(), RenamedFrom("note", "heading")
    ]
    note: Annotated[
        str | None, Field(max_length=300), Sortable(), Filterable(), Searchable(), RenamedFrom("text")
    ] = None
    address: Annotated[EmailStr | None, Filterable()] = None
    flag: Annotated[bool | None, Filterable()] = None
    state: Annotated[Literal["open", "it's: \\ closed"] | None, Sortable(), Filterable()] = None
    number: Annotated[int | None, Sortable(), Filterable()] = None
    price: Annotated[
        Decimal | None,
        Field(max_digits=18, decimal_places=4),
        Sortable(),
        Filterable(),
        RenamedFrom("cost"),
    ] = None
    weight: Annotated[float | None, Sortable(), Filterable()] = None
    at: Annotated[datetime | None, Sortable(), Filterable()] = None
    day: Annotated[date | None, Sortable(), Filterable()] = None
    tags: Annotated[
        list[Annotated[str, Field(max_length=30)]] | None, Field(max_length=20), Filterable()
    ] = None
    counts: Annotated[list[int], Field(max_length=20), Filterable()] = []  # noqa: RUF012 - pydantic copies it
    size: Size | None = None
    extra: dict[str, JsonValue] | None = None


class Author(Resource, path="authors", owned=False):
    """Somebody who writes books."""

    name: Annotated[str, Field(max_length=100), Sortable()]
    code: Annotated[str | None, Field(max_length=10), Unique()] = None


class Book(Resource, path="books", unique=[("owner_id", "isbn")]):
    """A book. Its author can't be deleted."""

    isbn: Annotated[str, Field(pattern=r"^[0-9]{3}$"), Filterable(), RenamedFrom("number")]
    author_id: Annotated[str, Reference("authors", on_delete="restrict"), Filterable()]
    editor_id: Annotated[
        str | None, Reference("authors", on_delete="set_null"), RenamedFrom("corrector_id")
    ] = None


class Chapter(Resource, path="chapters", owned=False):
    """A chapter, which is deleted with its book and with the chapter that it is a part of."""

    book_id: Annotated[str, Reference("books", on_delete="cascade"), Filterable()]
    part_of_id: Annotated[str | None, Reference("chapters", on_delete="cascade")] = None
    title: Annotated[str, Field(max_length=100)] = "untitled"


class Period(Resource, path="periods"):
    """A rule over two fields."""

    first: int
    last: int

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.first > self.last:
            raise ValueError("first should not be after last")
        return self


class Loan(Resource, path="loans", owned=False):
    """A loan of a book, which keeps its reader's user."""

    user_id: Annotated[str, Reference("users", on_delete="restrict"), Filterable()]
    chapter_id: Annotated[str | None, Reference("chapters", on_delete="set_null")] = None


class Quote(Resource, path="quotes"):
    """A quotation, which keeps its chapter."""

    chapter_id: Annotated[str, Reference("chapters", on_delete="restrict")]


class Draft(Resource, path="drafts"):
    """Hooks: a slug that follows the title, and a count of the changes."""

    title: Annotated[str, Field(max_length=50)]
    words: int = 0
    slug: Annotated[str, Field(max_length=50), ReadOnly(), Filterable(), Searchable()] = ""
    changes: Annotated[int, ReadOnly()] = 0

    def before_add(self) -> dict[str, Any]:
        """Make the slug."""
        if self.title == "refused":
            raise ValueError("no draft has this title")
        return {"slug": self.title.lower()}

    def before_change(self, old: Self) -> dict[str, Any]:
        """Make the slug, and count the change. A draft gets no shorter."""
        if self.words < old.words:
            raise ValueError("a draft gets no shorter")
        return {**self.before_add(), "changes": old.changes + 1}


DECLARED: tuple[type[Resource], ...] = (Sample, Author, Book, Chapter, Period, Loan, Quote, Draft)
