"""Pages of lists."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, Self

from backends.models.records import R, Row


@dataclass(frozen=True, slots=True)
class Position:
    """A keyset position in a list: right after the row with this sort key (in Python) and id."""

    key: Any
    id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Page(Generic[R]):
    """A page of a list.

    Attributes:
        rows: At most `limit` rows, in the order of the list.
        record: The class of the records; None if the page is empty.
        count: The number of rows of the whole list; None if the caller requested no count.
        next: The position at which the next page starts; None on the last page.
    """

    rows: list[Row]
    record: type[R] | None = field(compare=False)
    count: int | None
    next: Position | None

    @classmethod
    def of(cls, data: Sequence[R], *, count: int | None, next: Position | None) -> Self:  # noqa: A002 - as the field
        """Return a page with these records."""
        rows = [each.to_row() for each in data]
        return cls(rows=rows, record=type(data[0]) if data else None, count=count, next=next)

    @property
    def data(self) -> list[R]:
        """The rows as records. Each access creates new records."""
        return [self.record.from_row(row) for row in self.rows] if self.record else []
