"""A page of a list and the count of the whole list, in one statement and so from one snapshot."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from functools import reduce
from operator import add
from typing import TYPE_CHECKING, Any, TypeVar

from sqlalchemy import Row, Select, func, literal, select, true, tuple_, union_all

from backends.models import Page, Position

if TYPE_CHECKING:
    from sqlalchemy import ColumnElement, FromClause

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Order:
    """An order of rows: a column and then the id, both in one direction.

    Where the column is unique it is the whole order, and the index on it serves it.
    """

    column: str
    descending: bool
    unique: bool

    @classmethod
    def by(cls, sort: str, *, unique: Collection[str] = ()) -> Order:
        """Read a `sort` of the protocols, `title` or `-title`; some columns are unique."""
        column = sort.removeprefix("-")
        return cls(column, descending=sort.startswith("-"), unique=column in unique)

    def keys(self, table: FromClause) -> list[ColumnElement[Any]]:
        """Return the columns of this table that order it."""
        return [table.c[self.column]] if self.unique else [table.c[self.column], table.c.id]

    def clauses(self, table: FromClause) -> list[ColumnElement[Any]]:
        """Return what ORDER BY wants."""
        return [key.desc() if self.descending else key.asc() for key in self.keys(table)]

    def behind(self, table: FromClause, position: Position) -> ColumnElement[bool]:
        """Return the condition that rows behind a position fulfil."""
        keys = self.keys(table)
        values = [
            literal(value, key.type) for key, value in zip(keys, (position.key, position.id), strict=False)
        ]
        # A row value, because both databases walk the index straight to it.
        return tuple_(*keys) < tuple_(*values) if self.descending else tuple_(*keys) > tuple_(*values)


def page_statement(
    table: FromClause,
    *where: ColumnElement[bool],
    order: Order,
    skip: int,
    limit: int,
    after: Position | None,
    count: bool,
    either: Sequence[ColumnElement[bool]] = (true(),),
) -> Select[Any]:
    """Select a page, and one row more to see whether another page follows.

    With `count` every row carries the total, and the outer join keeps one row (of nulls) for it even
    when the page is empty.

    The rows fulfil exactly one of `either`: each is looked for along an index of its own, as far as the
    page needs it, because no database merges two indexes in their order by itself.
    """
    behind = () if after is None else (order.behind(table, after),)

    def rows_that(condition: ColumnElement[bool]) -> Select[Any]:
        return select(table).where(*where, condition, *behind).order_by(*order.clauses(table))

    wanted = limit + 1 if limit else 0
    if len(either) == 1:
        rows = rows_that(either[0]).offset(skip).limit(wanted)
    else:
        parts = [select(rows_that(each).limit(skip + wanted).subquery()) for each in either]
        merged = union_all(*parts).subquery("merged")
        rows = select(merged).order_by(*order.clauses(merged)).offset(skip).limit(wanted)
    if not count:
        return rows
    counts = [
        select(func.count()).select_from(table).where(*where, each).scalar_subquery() for each in either
    ]
    total = select(reduce(add, counts).label("total")).subquery("whole")
    page = rows.subquery("page")
    return (
        select(total.c.total, *page.c)
        .select_from(total.outerjoin(page, true()))
        .order_by(*order.clauses(page))
    )


def to_page(
    rows: Sequence[Row[Any]], to_model: Callable[[Row[Any]], T], *, order: Order, limit: int, count: bool
) -> Page[T]:
    """Map what `page_statement` selected."""
    total = rows[0].total if count else None
    found = [row for row in rows if row.id is not None]
    data = found[:limit]
    more = len(found) > limit
    return Page(
        data=[to_model(row) for row in data],
        count=total,
        next=Position(getattr(data[-1], order.column), data[-1].id) if more else None,
    )
