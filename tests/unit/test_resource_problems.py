"""References to rows that do not exist, and the field that they are reported at."""

from __future__ import annotations

import pytest
from fastapi.exceptions import RequestValidationError

from api.resources.problems import errors_at_fields
from backends.errors import NotFound
from tests.api.declared import Book

AUTHOR, USER, OTHER = "1" * 24, "2" * 24, "3" * 24
BOOKS = [
    Book(title="One", isbn="1" * 13, editor_id=USER),
    Book(title="Two", isbn="2" * 13, author_id=AUTHOR),
]


@pytest.mark.parametrize(
    ("error", "path", "place"),
    [
        (NotFound("author", AUTHOR), ("data",), ("body", "data", 1, "author_id")),
        (NotFound("user", USER), ("data",), ("body", "data", 0, "editor_id")),
        (NotFound("user", USER), (), ("body", "editor_id")),
    ],
)
def test_reference_to_nothing_is_reported_at_its_field(
    error: NotFound, path: tuple[str, ...], place: tuple[str | int, ...]
) -> None:
    """A validation error that names the entity."""
    with pytest.raises(RequestValidationError) as caught, errors_at_fields(Book.__resource__, BOOKS, path):
        raise error
    message = f"No {error.entity} has this id"
    assert caught.value.errors() == [{"type": "reference_not_found", "loc": place, "msg": message}]


def test_absence_of_the_changed_row_is_no_fault_of_a_field_with_its_id() -> None:
    """`PATCH /books/…` with a field that has the id of the path."""
    book = Book(title="One", isbn="1" * 13, author_id=AUTHOR)
    with pytest.raises(NotFound), errors_at_fields(Book.__resource__, [book], changed=AUTHOR):
        raise NotFound("book", AUTHOR)


@pytest.mark.parametrize("error", [NotFound("book", OTHER), NotFound("user", OTHER)])
def test_absence_of_the_row_and_of_its_owner_stays_as_it_is(error: NotFound) -> None:
    """They are no fields of the body."""
    with pytest.raises(NotFound) as caught, errors_at_fields(Book.__resource__, BOOKS):
        raise error
    assert caught.value is error
