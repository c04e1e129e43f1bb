"""Resources that the HTTP tests declare: every kind of field, every marker, every kind of access."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, Field, JsonValue, model_validator

from backends.ids import new_id
from eitherdb import Filterable, Immutable, ReadOnly, Reference, Resource, Searchable, Sortable, Unique


class Author(Resource, path="authors", owned=False):
    """Who writes books: everybody who is signed in reads them, superusers change them."""

    name: Annotated[str, Field(min_length=1, max_length=100), Unique(), Sortable(), Searchable()]


class Size(BaseModel):
    """The size of a book in millimetres."""

    width: int
    height: int


class Book(
    Resource, path="books", unique=[("owner_id", "isbn")], public_when={"state": "published", "rank": 1}
):
    """A book of one's own."""

    title: Annotated[
        str, Field(min_length=1, max_length=255, description="As on the cover."), Sortable(), Searchable()
    ]
    isbn: Annotated[str, Field(pattern=r"^[0-9]{13}$"), Filterable(), Immutable()]
    author_id: Annotated[str | None, Reference("authors", on_delete="restrict"), Filterable()] = None
    editor_id: Annotated[str | None, Reference("users", on_delete="set_null")] = None
    price: Annotated[
        Decimal | None, Field(max_digits=12, decimal_places=2, ge=0), Sortable(), Filterable()
    ] = None
    state: Annotated[Literal["draft", "published"], Sortable(), Filterable()] = "draft"
    rank: Annotated[int, Sortable(), Filterable()] = 1
    weight: Annotated[float | None, Sortable(), Filterable()] = None
    share: Annotated[Decimal | None, Field(max_digits=10, decimal_places=9)] = None
    is_lent: Annotated[bool, Filterable()] = False
    published_on: Annotated[date | None, Sortable(), Filterable()] = None
    printed_at: Annotated[datetime | None, Sortable(), Filterable()] = None
    tags: Annotated[list[Annotated[str, Field(max_length=30)]], Field(max_length=20), Filterable()] = []  # noqa: RUF012 - pydantic copies it
    size: Size | None = None
    notes: dict[str, JsonValue] = {}  # noqa: RUF012 - pydantic copies it
    reviews: Annotated[int, ReadOnly()] = 0

    @model_validator(mode="after")
    def _published_on(self) -> Self:
        if self.state == "published" and self.published_on is None:
            raise ValueError("a published book has a date")
        return self


class LineItem(Resource, path="line-items", access={"read": "signed_in", "change": "signed_in"}):
    """A line that everybody who is signed in reads and changes."""

    label: Annotated[str, Field(max_length=50)]
    code: Annotated[str, Field(max_length=24), ReadOnly()] = Field(default_factory=new_id)


class Notice(
    Resource,
    path="notices",
    owned=False,
    access={"read": "anyone", "create": "anyone", "change": "signed_in", "delete": "anyone"},
):
    """A notice on a public board."""

    text: Annotated[str, Field(max_length=200), Sortable()]


class AuditEntry(
    Resource,
    path="audit-entries",
    access=dict.fromkeys(("read", "create", "change", "delete"), "superuser"),
):
    """What only superusers see."""

    text: Annotated[str, Field(max_length=200)]


class Article(Resource, path="articles"):
    """An article with a slug from its title. It counts its changes, and is published once."""

    title: Annotated[str, Field(min_length=1, max_length=50)]
    state: Literal["draft", "published"] = "draft"
    words: int = 0
    slug: Annotated[str, Field(max_length=40), ReadOnly(), Filterable()] = ""
    changes: Annotated[int, ReadOnly()] = 0
    published_at: Annotated[datetime | None, ReadOnly()] = None

    def before_add(self) -> dict[str, Any]:
        """Make the slug."""
        if self.title == "bug":
            raise KeyError("title")
        if self.title == "refused":
            raise ValueError("this title is refused")
        return {"slug": self.title.lower().replace(" ", "-")}

    def before_change(self, old: Self) -> dict[str, Any]:
        """Count the change, and note when the article was published."""
        if self.words < old.words:
            raise ValueError("an article gets no shorter")
        found: dict[str, Any] = {**self.before_add(), "changes": old.changes + 1}
        if (old.state, self.state) == ("draft", "published"):
            found["published_at"] = datetime.now(UTC)
        return found


DECLARED: tuple[type[Resource], ...] = (Author, Book, LineItem, Notice, AuditEntry, Article)
