"""Deletions through several resources, their races, idempotency keys and rules over several fields."""

from __future__ import annotations

import asyncio
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any, cast

import pytest

from backends.capabilities import Capability
from backends.errors import (
    IdempotencyKeyReused,
    NotFound,
    NotOwner,
    NotSupported,
    RuleBroken,
    StillReferenced,
    VersionMismatch,
)
from backends.models import Idempotency, NewUser, User
from backends.models.resources import DeclarationError, Resource
from backends.protocols import Backend, ResourceRepository

from .declared import Author, Book, Chapter, Loan, Period, Quote, Sample
from .expectations import raises, refused_without
from .samples import UNKNOWN_ID

pytestmark = pytest.mark.rule("Declared references")


class Library:
    """The repositories of the declared resources."""

    def __init__(self, backend: Backend) -> None:
        self.backend = backend
        self.authors = backend.repository(Author)
        self.books = backend.repository(Book)
        self.chapters = backend.repository(Chapter)
        self.quotes = backend.repository(Quote)
        self.loans = backend.repository(Loan)
        self.periods = backend.repository(Period)

    async def book(self, member: User, isbn: str = "001") -> Book:
        """Store a book of a new author."""
        author = await self.authors.add(Author(name="Ada"))
        return await self.books.add(Book(isbn=isbn, author_id=author.id), owner_id=member.id)

    async def refuses_deletions(self) -> bool:
        """Return whether rows that others may refer to can't be deleted, and expect the refusal then."""
        has_transactions = Capability.TRANSACTIONS in self.backend.capabilities
        if not has_transactions:
            with raises(NotSupported("authors.delete", Capability.TRANSACTIONS)):
                await self.authors.delete(UNKNOWN_ID)
        return not has_transactions


@pytest.fixture
def shelf(library: Backend) -> Library:
    """Return the repositories."""
    return Library(library)


async def outcomes(*calls: Any) -> tuple[list[Any], list[BaseException]]:
    """Await the calls at once; return results and errors."""
    found = await asyncio.gather(*calls, return_exceptions=True)
    errors = [each for each in found if isinstance(each, BaseException)]
    return [each for each in found if not isinstance(each, BaseException)], errors


async def test_repository_is_found_by_its_class(shelf: Library, member: User) -> None:
    """It has the rows of `resources`. A class that the backend was not opened with is refused."""
    book = await shelf.book(member)
    assert type(book) is Book
    assert await shelf.backend.resources["books"].get(book.id) == book
    with pytest.raises(DeclarationError, match="the database was opened without it"):
        shelf.backend.repository(Resource)


@pytest.mark.rule("Cascade")
async def test_rows_are_deleted_with_what_they_refer_to(shelf: Library, member: User) -> None:
    """With cascade, through any number of resources: users, their books, and chapters of these."""
    if await shelf.refuses_deletions():
        return
    book, other = await shelf.book(member), await shelf.book(member, "002")
    chapters = [await shelf.chapters.add(Chapter(book_id=each.id)) for each in (book, other)]
    await shelf.books.delete(book.id)
    assert [row.id for row in (await shelf.chapters.list(where={"book_id": (book.id, other.id)})).data] == [
        chapters[1].id
    ]
    await shelf.backend.users.delete(member.id)
    assert (await shelf.books.list(owner_id=member.id)).count == 0
    assert (await shelf.chapters.list(where={"book_id": other.id})).count == 0


async def test_user_who_is_referred_to_stays(shelf: Library, member: User) -> None:
    """With restrict; a reference further on becomes null with the user's rows."""
    if await shelf.refuses_deletions():
        return
    borrower = await shelf.backend.users.add(NewUser(email=f"r{member.email}", hashed_password="x"))
    book = await shelf.book(member)
    chapter = await shelf.chapters.add(Chapter(book_id=book.id))
    loan = await shelf.loans.add(Loan(user_id=borrower.id, chapter_id=chapter.id))
    with pytest.raises(StillReferenced) as caught:
        await shelf.backend.users.delete(borrower.id)
    assert (caught.value.entity, caught.value.id, caught.value.by) == ("user", borrower.id, "loan")
    assert await shelf.backend.users.get(borrower.id) == borrower
    await shelf.backend.users.delete(member.id)
    found = await shelf.loans.get(loan.id)
    assert (found.chapter_id, found.version) == (None, 2)
    await shelf.loans.delete(loan.id)
    await shelf.backend.users.delete(borrower.id)


async def test_row_that_keeps_what_a_cascade_reaches_is_named(shelf: Library, member: User) -> None:
    """With restrict, unless the row is deleted too."""
    if await shelf.refuses_deletions():
        return
    reader = await shelf.backend.users.add(NewUser(email=f"q{member.email}", hashed_password="x"))
    book = await shelf.book(member)
    chapter = await shelf.chapters.add(Chapter(book_id=book.id))
    own = await shelf.quotes.add(Quote(chapter_id=chapter.id), owner_id=member.id)
    other = await shelf.quotes.add(Quote(chapter_id=chapter.id), owner_id=reader.id)
    for delete, entity, id_ in (
        (shelf.chapters.delete, "chapter", chapter.id),
        (shelf.books.delete, "book", book.id),
        (shelf.backend.users.delete, "user", member.id),
    ):
        with pytest.raises(StillReferenced) as caught:
            await delete(id_)
        refused = caught.value
        assert (refused.entity, refused.id, refused.by) == (entity, id_, "quote")
    await shelf.quotes.delete(other.id)
    with pytest.raises(StillReferenced):
        await shelf.books.delete(book.id)
    await shelf.backend.users.delete(member.id)
    for get, id_ in ((shelf.quotes.get, own.id), (shelf.chapters.get, chapter.id)):
        with pytest.raises(NotFound):
            await get(id_)


async def test_cascade_follows_a_tree_to_its_leaves(shelf: Library, member: User) -> None:
    """And so do the rules for the rows that refer to the leaves, also where the tree is a circle."""
    if await shelf.refuses_deletions():
        return
    book = await shelf.book(member)
    root = chapter = await shelf.chapters.add(Chapter(book_id=book.id))
    for _ in range(4):
        chapter = await shelf.chapters.add(Chapter(book_id=book.id, part_of_id=chapter.id))
    root = await shelf.chapters.update(root.id, {"part_of_id": root.id})
    loan = await shelf.loans.add(Loan(user_id=member.id, chapter_id=chapter.id))
    quote = await shelf.quotes.add(Quote(chapter_id=chapter.id), owner_id=member.id)
    for delete, id_ in ((shelf.chapters.delete, root.id), (shelf.books.delete, book.id)):
        with pytest.raises(StillReferenced) as caught:
            await delete(id_)
        assert caught.value.by == "quote"
    await shelf.quotes.delete(quote.id)
    await shelf.chapters.delete(root.id)
    assert (await shelf.chapters.list(where={"book_id": book.id})).count == 0
    assert await shelf.loans.get(loan.id) == loan.model_copy(update={"chapter_id": None, "version": 2})


async def test_deletions_racing_references_leave_no_orphan(shelf: Library, member: User) -> None:
    """Whichever is first: the author is gone and no book refers to it, or stays with its books."""
    if await shelf.refuses_deletions():
        return
    for attempt in range(8):
        author = await shelf.authors.add(Author(name="Ada"))
        results, errors = await outcomes(
            *(
                shelf.books.add(
                    Book(isbn=f"{attempt}{n:02}", author_id=author.id, editor_id=author.id),
                    owner_id=member.id,
                )
                for n in range(6)
            ),
            shelf.authors.delete(author.id),
            shelf.authors.delete(author.id),
        )
        books = (await shelf.books.list(owner_id=member.id, where={"author_id": author.id})).data
        try:
            await shelf.authors.get(author.id)
        except NotFound:
            assert books == []
        else:
            assert len(books) == len([each for each in results if each is not None])
        assert {type(error) for error in errors} <= {NotFound, StillReferenced}


@pytest.mark.rule("Idempotency")
async def test_call_with_a_key_is_executed_once(shelf: Library, member: User) -> None:
    """A repetition gets the first row, whatever became of it; another request is refused."""
    author = await shelf.authors.add(Author(name="Ada"))
    key = Idempotency("key", "a" * 64)
    book = Book(isbn="001", author_id=author.id)
    if Capability.TRANSACTIONS not in shelf.backend.capabilities:
        with raises(NotSupported("books.add with an idempotency key", Capability.TRANSACTIONS)):
            await shelf.books.add(book, owner_id=member.id, idempotency=key)
        return
    results, errors = await outcomes(
        *(shelf.books.add(book, owner_id=member.id, idempotency=key) for _ in range(8))
    )
    assert errors == []
    assert len({row.id for row in results}) == 1
    await shelf.books.update(results[0].id, {"isbn": "002"})
    assert await shelf.books.add(book, owner_id=member.id, idempotency=key) == results[0]
    await shelf.books.delete(results[0].id)
    assert await shelf.books.add(book, owner_id=member.id, idempotency=key) == results[0]
    with pytest.raises(IdempotencyKeyReused):
        await shelf.books.add(book, owner_id=member.id, idempotency=Idempotency("key", "b" * 64))
    shared = await shelf.authors.add(Author(name="Bob"), idempotency=key, ordered_by=UNKNOWN_ID)
    assert await shelf.authors.add(Author(name="Bob"), idempotency=key, ordered_by=UNKNOWN_ID) == shared
    assert (await shelf.books.list(owner_id=member.id)).count == 0


@pytest.mark.rule("Declared rules", "Versions")
async def test_rule_over_two_fields_holds_under_concurrency(shelf: Library, member: User) -> None:
    """A change is validated as the whole row that it makes, also if others change the row meanwhile."""
    period = await shelf.periods.add(Period(first=0, last=10), owner_id=member.id)
    with pytest.raises(RuleBroken) as caught:
        await shelf.periods.update(period.id, {"first": 11})
    assert [each["msg"] for each in caught.value.problems] == [
        "Value error, first should not be after last"
    ]
    assert await shelf.periods.get(period.id) == period
    with pytest.raises(NotOwner):
        await shelf.periods.update(period.id, {"first": 1}, owner_id=UNKNOWN_ID)
    with pytest.raises(VersionMismatch):
        await shelf.periods.update(period.id, {"first": 1}, versions=[2])
    for _ in range(10):
        # Each change is right for the row before, and wrong after the other one.
        results, errors = await outcomes(
            shelf.periods.update(period.id, {"first": 8}), shelf.periods.update(period.id, {"last": 3})
        )
        assert len(results) == 1
        assert [type(error) for error in errors] == [RuleBroken]
        await shelf.periods.update(period.id, {"first": 0, "last": 10})
    found = await shelf.periods.get(period.id)
    assert (found.first, found.last, found.version) == (0, 10, 21)


@pytest.mark.rule("Declared values", "Many at once")
@pytest.mark.parametrize("end", ["first", "last"])
async def test_ends_of_a_kind_are_stored_alike_alone_and_among_many(
    library: Backend, member: User, end: str
) -> None:
    """A filter finds both, also the first and the last moment, which a driver may take for infinity."""
    place = 0 if end == "first" else 1
    ends: dict[str, Any] = {
        "number": (-(2**53) + 1, 2**53 - 1)[place],
        "price": (Decimal("-99999999999999.9999"), Decimal("99999999999999.9999"))[place],
        "weight": (-1.7976931348623157e308, 1.7976931348623157e308)[place],
        "at": (datetime(1, 1, 1, tzinfo=UTC), datetime(9999, 12, 31, 23, 59, 59, 999_000, tzinfo=UTC))[
            place
        ],
        "day": (date.min, date.max)[place],
    }
    samples = cast("ResourceRepository[Sample]", library.resources["samples"])
    row = Sample(text="end", **ends)
    ids = {(await samples.add(row, owner_id=member.id)).id}
    with refused_without(library, Capability.TRANSACTIONS, "samples.add_many"):
        ids |= {each.id for each in await samples.add_many([row], owner_id=member.id)}
    for name, value in ends.items():
        found = await samples.list(owner_id=member.id, where={name: value})
        assert {each["id"] for each in found.rows} == ids, name
