"""Valid rows of the declared resources."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal

from backends.models import NewUser
from backends.protocols import Backend
from tests.backends.planted import HASH
from tests.contract.declared import Author, Book, Chapter, Loan, Period, Sample, Size

TIME = datetime(2026, 11, 22, 16, 25, 25, 123_456, tzinfo=UTC)


@dataclass(frozen=True)
class Rows:
    """Adds valid rows through the repositories, each with a number."""

    backend: Backend

    async def add(self, kind: str, n: int) -> str:
        """Add a row of this kind and those that it refers to; return its id."""
        resources = self.backend.resources
        user = await self.backend.users.add(NewUser(email=f"user{n}@example.com", hashed_password=HASH))
        author = await resources["authors"].add(Author(name=f"Straße {n}", code=f"{n}"))
        book = await resources["books"].add(
            Book(isbn="123", author_id=author.id, editor_id=None), owner_id=user.id
        )
        chapter = await resources["chapters"].add(Chapter(book_id=book.id))
        loan = await resources["loans"].add(Loan(user_id=user.id, chapter_id=chapter.id))
        period = await resources["periods"].add(Period(first=1, last=3), owner_id=user.id)
        sample = await resources["samples"].add(sample_of(n), owner_id=user.id)
        added = {"authors": author, "books": book, "chapters": chapter, "loans": loan}
        return str((added | {"periods": period, "samples": sample})[kind].id)


def sample_of(n: int) -> Sample:
    """Return a row with a value, or with null, in each field."""
    if n % 3 == 0:
        return Sample(text=f"Ⅸ {n}")
    return Sample(
        text=f"Straße {n}",
        note="\u0130\U0001f600",
        address="ada@example.com",
        flag=True,
        state="it's: \\ closed",
        number=-(2**53 - 1),
        price=Decimal("-99999999999999.9999"),
        weight=1.0,
        at=TIME,
        day=TIME.date(),
        tags=["é", ""],
        counts=[2**53 - 1],
        size=Size(width=1),
        extra={"b": 1.0, "a": [None, {"$": "\0"}]},
    )
