"""Pages of lists."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Generic, Self

from backends.models.records import R, Row


@dataclass(frozen=True, slots=True)
class Position:
    """A place in a list: just behind the row with this sort key (its time or text) and this id."""

    key: datetime | str
    id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Page(Generic[R]):
    """A part of a list.

    Attributes:
        rows: At most `limit`, in the order of the list.
        record: What they are rows of; None where there are none.
        count: How many rows the whole list has; None where the caller asked for no count.
        next: Where the following page begins; None if nothing follows.
    """

    rows: list[Row]
    record: type[R] | None = field(compare=False)
    count: int | None
    next: Position | None

    @classmethod
    def of(cls, data: Sequence[R], *, count: int | None, next: Position | None) -> Self:  # noqa: A002 - as the field
        """Return the page that has these records."""
        rows = [each.to_row() for each in data]
        return cls(rows=rows, record=type(data[0]) if data else None, count=count, next=next)

    @property
    def data(self) -> list[R]:
        """The rows as records, which are made anew each time."""
        return [self.record.from_row(row) for row in self.rows] if self.record else []
