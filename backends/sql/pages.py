"""A page of a list and the count of the whole list, in one statement and so from one snapshot."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from sqlalchemy import Row, Select, func, literal, select, true, tuple_

from backends.models import Page, Position
from backends.sql.schema import ObjectIdBytes, UtcDateTime

if TYPE_CHECKING:
    from sqlalchemy import ColumnElement, FromClause

T = TypeVar("T")


def page_statement(
    table: FromClause,
    *where: ColumnElement[bool],
    skip: int,
    limit: int,
    after: Position | None,
    count: bool,
) -> Select[Any]:
    """Select a page, newest first, and one row more to see whether another page follows.

    With `count` every row carries the total, and the outer join keeps one row (of nulls) for it even
    when the page is empty.
    """
    rows = select(table).where(*where)
    if after is not None:
        # A row value, because both databases walk the index straight to it.
        rows = rows.where(
            tuple_(table.c.created_at, table.c.id)
            < tuple_(literal(after.created_at, UtcDateTime()), literal(after.id, ObjectIdBytes()))
        )
    rows = rows.order_by(table.c.created_at.desc(), table.c.id.desc())
    rows = rows.offset(skip).limit(limit + 1 if limit else 0)
    if not count:
        return rows
    total = select(func.count().label("total")).select_from(table).where(*where).subquery("whole")
    page = rows.subquery("page")
    return (
        select(total.c.total, *page.c)
        .select_from(total.outerjoin(page, true()))
        .order_by(page.c.created_at.desc(), page.c.id.desc())
    )


def to_page(
    rows: Sequence[Row[Any]], to_model: Callable[[Row[Any]], T], *, limit: int, count: bool
) -> Page[T]:
    """Map what `page_statement` selected."""
    total = rows[0].total if count else None
    found = [row for row in rows if row.id is not None]
    data = found[:limit]
    more = len(found) > limit
    return Page(
        data=[to_model(row) for row in data],
        count=total,
        next=Position(data[-1].created_at, data[-1].id) if more else None,
    )
