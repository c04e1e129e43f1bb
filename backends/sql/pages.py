"""Pages of lists by keyset pagination. One statement returns a page and the count, from one snapshot."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache, reduce
from itertools import product
from operator import add
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Generic, Literal, TypeAlias, TypeVar

from sqlalchemy import BigInteger, Select, and_, bindparam, func, select, true, tuple_, union_all

from backends.ids import read_time
from backends.models import Page, Position, Row, StoredObject
from backends.sql.columns import in_row
from backends.sql.connections import KEPT_STATEMENTS

if TYPE_CHECKING:
    from sqlalchemy import ColumnElement, FromClause, Table

    from backends.sql.connections import Connections

R = TypeVar("R", bound=StoredObject)


@dataclass(frozen=True, slots=True)
class SortKey:
    """A column that lists can be sorted by.

    Attributes:
        unique: Whether the column is unique. Then it is the only sort key, so that its index can be used.
        nullable: Whether it may be null. Null sorts before every value.
        from_json: The conversion from the value in a row to Python; None if they are the same.
    """

    unique: bool = False
    nullable: bool = False
    from_json: Callable[[Any], Any] | None = None


_CREATED_AT = SortKey(from_json=read_time)
_PLAIN = SortKey()

After: TypeAlias = Literal["start", "null", "value"]
"""Where a page starts: at the first row, or after a row whose sort key is null or has a value."""


@dataclass(frozen=True, slots=True)
class Order:
    """An order of rows: a column and then the id, both in the same direction."""

    column: str
    descending: bool
    key: SortKey

    def keys(self, table: FromClause) -> list[ColumnElement[Any]]:
        """Return the columns of the sort key."""
        return [table.c[self.column]] if self.key.unique else [table.c[self.column], table.c.id]

    def clauses(self, table: FromClause) -> list[ColumnElement[Any]]:
        """Return the clauses of ORDER BY."""
        first, *rest = [key.desc() if self.descending else key.asc() for key in self.keys(table)]
        if self.key.nullable:  # PostgreSQL's default is the reverse.
            first = first.nulls_last() if self.descending else first.nulls_first()
        return [first, *rest]

    def position(self, row: Row) -> Position:
        """Return the position right after a row."""
        key, from_json = row[self.column], self.key.from_json
        return Position(key if from_json is None or key is None else from_json(key), row["id"])

    def behind(self, table: FromClause, after: After) -> tuple[ColumnElement[bool], ...]:
        """Return the condition for rows after the position `after_key`, `after_id`.

        Where nulls and values are both behind it, these are two alternatives: each is a range of the index.
        """
        if after == "start":
            return (true(),)
        column, keys = table.c[self.column], self.keys(table)
        if after == "null":
            id_ = bindparam("after_id", type_=table.c.id.type)
            if self.descending:
                return (and_(column.is_(None), table.c.id < id_),)
            return and_(column.is_(None), table.c.id > id_), column.is_not(None)
        place = [
            bindparam(name, type_=key.type)
            for key, name in zip(keys, ("after_key", "after_id"), strict=False)
        ]
        # A row value comparison, because both databases seek to it in the index.
        if not self.descending:
            return (tuple_(*keys) > tuple_(*place),)
        less = tuple_(*keys) < tuple_(*place)
        return (less, column.is_(None)) if self.key.nullable else (less,)


class Lists(Generic[R]):
    """The lists of a table. The statement for each combination of filters and order is built once."""

    def __init__(
        self,
        table: Table,
        record: type[R],
        *,
        columns: Sequence[str],
        conditions: Mapping[str, ColumnElement[bool] | tuple[ColumnElement[bool], ...]],
        sorts: Mapping[str, SortKey] = MappingProxyType({}),
    ) -> None:
        """Define the lists.

        Args:
            table: The table.
            record: The class of the records.
            columns: The columns of the record's fields.
            conditions: The condition of each filter, with a parameter of the filter's name. A tuple has
                mutually exclusive alternatives. Each alternative is a separate index scan, limited to the
                page, because neither database merges two indexes in order.
            sorts: The sort keys by column, where they are not plain: neither null nor unique.
        """
        self._table = table
        self._columns = [table.c[name] for name in columns]
        self._record = record
        self._conditions = conditions
        self._sorts = {"created_at": _CREATED_AT, **sorts}
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
        return await self.page_of(
            connections,
            tuple(given),
            given,
            sort=sort,
            skip=skip,
            limit=limit,
            after=after,
            count=count,
        )

    async def page_of(
        self,
        connections: Connections,
        filters: tuple[str, ...],
        parameters: Mapping[str, Any],
        *,
        sort: str,
        skip: int,
        limit: int,
        after: Position | None,
        count: bool,
    ) -> Page[R]:
        """Return a page. `filters` are the names of conditions, `parameters` the values in them."""
        column = sort.removeprefix("-")
        order = Order(column, sort.startswith("-"), self._sorts.get(column, _PLAIN))
        # One additional row shows whether another page follows.
        values = {**parameters, "rows_to_skip": skip, "rows_wanted": limit + 1 if limit else 0}
        if after is not None:
            values |= {"after_key": after.key, "after_id": after.id}
        start: After = "start" if after is None else "null" if after.key is None else "value"
        is_deep = skip > 0 or limit == 0
        rows = await connections.look_up(
            self._statement(filters, order, after=start, count=count, is_deep=is_deep), values
        )
        if count and not rows and after is not None:  # the rows after the position have been deleted
            rows = await connections.look_up(
                self._statement(filters, order, after=start, count=True, is_deep=True), values
            )
        total = None
        if count:
            total = rows[0]["total"] if rows else 0
            rows = [] if rows and rows[0]["id"] is None else rows
            for row in rows:
                del row["total"]
        next_ = order.position(rows[limit - 1]) if len(rows) > limit > 0 else None
        return Page(rows=rows[:limit], record=self._record, count=total, next=next_)

    def _build(
        self, filters: tuple[str, ...], order: Order, *, after: After, count: bool, is_deep: bool
    ) -> Select[Any]:
        """Build the query of a page. With `count`, every row has the total.

        Args:
            filters: The names of the conditions.
            order: The order.
            after: Where the page starts.
            count: Whether to count the rows of the whole list.
            is_deep: Whether the page may be empty although the list is not, and skips rows. Then the keys
                of the page are found in an index before its rows are read, and an empty page is one row of
                nulls with the total.
        """
        table = self._table
        asked = [self._conditions[name] for name in filters]
        either = list(product(*(each if isinstance(each, tuple) else (each,) for each in asked)))
        counts = [select(func.count()).select_from(table).where(*fit).scalar_subquery() for fit in either]
        total = reduce(add, counts).label("total")
        columns = [table.c[order.column], table.c.id] if is_deep else self._columns

        parts = [
            select(*columns).where(*fit, behind).order_by(*order.clauses(table))
            for fit, behind in product(either, order.behind(table, after))
        ]
        page = _page_of(parts, order, skips=is_deep)
        if not is_deep:
            return page.with_only_columns(*map(in_row, page.selected_columns), *([total] if count else []))
        keys = page.subquery("page")
        of_page = table.c.id == keys.c.id
        rows = select(*map(in_row, self._columns)).order_by(*order.clauses(table))
        if not count:
            return rows.select_from(keys.join(table, of_page))
        whole = select(total).subquery("whole")
        source = whole.outerjoin(keys, true()).outerjoin(table, of_page)
        return rows.add_columns(whole.c.total).select_from(source)


def _page_of(parts: Sequence[Select[Any]], order: Order, *, skips: bool) -> Select[Any]:
    """Limit ordered rows to a page. Of several parts, each is limited before they are merged."""
    skip, wanted = (bindparam(name, type_=BigInteger) for name in ("rows_to_skip", "rows_wanted"))
    rows = parts[0]
    if len(parts) > 1:
        merged = union_all(
            *(select(part.limit(skip + wanted if skips else wanted).subquery()) for part in parts)
        ).subquery("merged")
        rows = select(merged).order_by(*order.clauses(merged))
    return rows.offset(skip).limit(wanted) if skips else rows.limit(wanted)
