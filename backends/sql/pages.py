"""Pages of lists by keyset pagination. One statement returns a page and the count, from one snapshot."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache, reduce
from itertools import product
from operator import add
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from sqlalchemy import BigInteger, Select, bindparam, func, select, true, tuple_, union_all

from backends.ids import read_time
from backends.models import Page, Position, Row, StoredObject
from backends.sql.connections import KEPT_STATEMENTS
from backends.sql.functions import id_text, time_text
from backends.sql.types import ObjectIdBytes, UtcDateTime

if TYPE_CHECKING:
    from sqlalchemy import ColumnElement, FromClause, Table

    from backends.sql.connections import Connections

R = TypeVar("R", bound=StoredObject)


@dataclass(frozen=True, slots=True)
class Order:
    """An order of rows: a column and then the id, both in the same direction.

    A unique column is the only sort key, so that its index can be used.
    """

    column: str
    descending: bool
    unique: bool

    @classmethod
    def by(cls, sort: str, *, unique: Collection[str] = ()) -> Order:
        """Parse a `sort` of the protocols, such as `title` or `-title`."""
        column = sort.removeprefix("-")
        return cls(column, descending=sort.startswith("-"), unique=column in unique)

    def keys(self, table: FromClause) -> list[ColumnElement[Any]]:
        """Return the columns of the sort key."""
        return [table.c[self.column]] if self.unique else [table.c[self.column], table.c.id]

    def clauses(self, table: FromClause) -> list[ColumnElement[Any]]:
        """Return the clauses of ORDER BY."""
        return [key.desc() if self.descending else key.asc() for key in self.keys(table)]

    def position(self, row: Row) -> Position:
        """Return the position right after a row."""
        key = row[self.column]
        return Position(read_time(key) if self.column == "created_at" else key, row["id"])

    def behind(self, table: FromClause) -> ColumnElement[bool]:
        """Return the condition for rows after the position `after_key`, `after_id`."""
        keys = self.keys(table)
        place = [
            bindparam(name, type_=key.type)
            for key, name in zip(keys, ("after_key", "after_id"), strict=False)
        ]
        # A row value comparison, because both databases seek to it in the index.
        return tuple_(*keys) < tuple_(*place) if self.descending else tuple_(*keys) > tuple_(*place)


def _as_row_has_it(column: ColumnElement[Any]) -> ColumnElement[Any]:
    """Return a column in the format of `backends.models.Row`."""
    if isinstance(column.type, ObjectIdBytes):
        return id_text(column).label(column.key)
    if isinstance(column.type, UtcDateTime):
        return time_text(column).label(column.key)
    return column


class Lists(Generic[R]):
    """The lists of a table. The statement for each combination of filters and order is built once."""

    def __init__(
        self,
        table: Table,
        record: type[R],
        *,
        columns: Sequence[str],
        conditions: Mapping[str, ColumnElement[bool] | tuple[ColumnElement[bool], ...]],
        unique: Collection[str] = (),
    ) -> None:
        """Define the lists.

        Args:
            table: The table.
            record: The class of the records.
            columns: The columns of the record's fields.
            conditions: The condition of each filter, with a parameter of the filter's name. A tuple has
                mutually exclusive alternatives. Each alternative is a separate index scan, limited to the
                page, because neither database merges two indexes in order.
            unique: The unique columns.
        """
        self._table = table
        self._columns = [table.c[name] for name in columns]
        self._record = record
        self._conditions = conditions
        self._unique = unique
        self._statement = lru_cache(KEPT_STATEMENTS)(self._build)

    async def page(
        self,
        connections: Connections,
        *,
        sort: str,
        skip: int,
        limit: int,
        after: Position | None,
        count: bool,
        **filters: Any,
    ) -> Page[R]:
        """Return a page.

        Args:
            connections: The database.
            sort: The sort key: a column, with `-` for descending order.
            skip: The number of rows to skip.
            limit: The maximum number of rows.
            after: The position after which the page starts.
            count: Whether to count the rows of the whole list.
            filters: The values of the filters; None disables a filter.
        """
        given = {name: value for name, value in filters.items() if value is not None}
        order = Order.by(sort, unique=self._unique)
        # One additional row shows whether another page follows.
        values = {**given, "rows_to_skip": skip, "rows_wanted": limit + 1 if limit else 0}
        if after is not None:
            values |= {"after_key": after.key, "after_id": after.id}
        statement = self._statement(tuple(given), order, after=after is not None, count=count)
        rows = await connections.run(statement, values)
        total = rows[0]["total"] if count else None
        if count and rows[0]["id"] is None:
            rows = []
        elif count:
            for row in rows:
                del row["total"]
        next_ = order.position(rows[limit - 1]) if len(rows) > limit > 0 else None
        return Page(rows=rows[:limit], record=self._record, count=total, next=next_)

    def _build(self, filters: tuple[str, ...], order: Order, *, after: bool, count: bool) -> Select[Any]:
        """Build the query of a page.

        With `count`, every row has the total. An outer join returns one row of nulls with the total if the
        page is empty.
        """
        table = self._table
        behind = (order.behind(table),) if after else ()
        asked = [self._conditions[name] for name in filters]
        either = list(product(*(each if isinstance(each, tuple) else (each,) for each in asked)))
        skip, wanted = (
            bindparam("rows_to_skip", type_=BigInteger),
            bindparam("rows_wanted", type_=BigInteger),
        )

        def rows_that(fit: Sequence[ColumnElement[bool]]) -> Select[Any]:
            return select(*self._columns).where(*fit, *behind).order_by(*order.clauses(table))

        if len(either) == 1:
            rows = rows_that(either[0]).offset(skip).limit(wanted)
        else:
            parts = [select(rows_that(fit).limit(skip + wanted).subquery()) for fit in either]
            merged = union_all(*parts).subquery("merged")
            rows = select(merged).order_by(*order.clauses(merged)).offset(skip).limit(wanted)
        if not count:
            return rows.with_only_columns(*map(_as_row_has_it, rows.selected_columns))
        page = rows.subquery("page")
        counts = [select(func.count()).select_from(table).where(*fit).scalar_subquery() for fit in either]
        total = select(reduce(add, counts).label("total")).subquery("whole")
        return (
            select(*map(_as_row_has_it, page.c), total.c.total)
            .select_from(total.outerjoin(page, true()))
            .order_by(*order.clauses(page))
        )
