"""Two look-ups by id that are requested at the same time are one statement.

A request looks up its user and its row at the same time. If no other request runs, each has a batch of its
own (`backends.dataloader`), and two statements would take two connections. One statement takes one round
trip and less CPU time, in this process and in the server.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from sqlalchemy import Select, bindparam, select, true

from backends.errors import Unavailable

if TYPE_CHECKING:
    from sqlalchemy import Table

    from backends.sql.connections import Connections
    from backends.sql.statements import Row


class RowById:
    """The statement that finds a row by its id."""

    def __init__(self, table: Table, columns: Sequence[str]) -> None:
        """Select these columns; `id` is one of them."""
        self.table = table
        self.columns = columns
        self.statement = select(*(table.c[name] for name in columns)).where(
            table.c.id == bindparam("of_id")
        )


class PairedLookUps:
    """Finds rows by id. Two look-ups of one iteration of the event loop share a statement."""

    def __init__(self, connections: Connections) -> None:
        """Run the statements on these connections."""
        self._connections = connections
        self._waiting: _First | None = None
        self._pair = lru_cache(_Pair)

    async def find(self, by_id: RowById, id: str) -> Row | None:
        """Return the row, or None."""
        first = self._waiting
        if first is not None:
            self._waiting = None
            return await self._find_second(first, by_id, id)
        first = self._waiting = _First(by_id, id)
        try:
            await asyncio.sleep(0)
        finally:
            if self._waiting is first:
                self._waiting = None
        found = await first.found if first.found else None
        return found[0] if found else await self._find_alone(by_id, id)

    async def _find_alone(self, by_id: RowById, id: str) -> Row | None:
        rows = await self._connections.look_up(by_id.statement, {"of_id": id})
        return rows[0] if rows else None

    async def _find_second(self, first: _First, by_id: RowById, id: str) -> Row | None:
        """Find the rows of both callers, and hand the first its own."""
        first.found = asyncio.get_running_loop().create_future()
        found = None
        try:
            found = await self._find_both(first, by_id, id)
        except Unavailable as exc:
            if not first.found.done():
                first.found.set_exception(exc)
            raise
        except Exception:  # noqa: BLE001
            found = None  # probably one row can't be read; the statement of that row raises its error
        finally:
            if not first.found.done():
                first.found.set_result(found and found[:1])
        return found[1] if found else await self._find_alone(by_id, id)

    async def _find_both(self, first: _First, by_id: RowById, id: str) -> tuple[Row | None, Row | None]:
        pair = self._pair(first.by_id, by_id)
        rows = await self._connections.look_up(pair.statement, {"first_id": first.id, "second_id": id})
        return pair.split(rows[0])


class _First:
    """A look-up that waits for a second one.

    Attributes:
        found: Its row, as a tuple of one, when a second one has come. None instead of the tuple stands for
            a statement that failed.
    """

    def __init__(self, by_id: RowById, id: str) -> None:
        self.by_id = by_id
        self.id = id
        self.found: asyncio.Future[tuple[Row | None, ...] | None] | None = None


class _Pair:
    """The statement that finds two rows: one row of the columns of both, which are null without a match."""

    def __init__(self, first: RowById, second: RowById) -> None:
        one = select(true().label("one")).subquery("one")
        tables = first.table.alias("first"), second.table.alias("second")
        parts = tuple(zip(("first", "second"), (first, second), tables, strict=True))
        self._names = [{name: f"{part}_{name}" for name in by_id.columns} for part, by_id, _ in parts]
        columns = [
            table.c[name].label(f"{part}_{name}") for part, by_id, table in parts for name in by_id.columns
        ]
        source: Any = one
        for part, _, table in parts:
            source = source.outerjoin(table, table.c.id == bindparam(f"{part}_id"))
        self.statement: Select[Any] = select(*columns).select_from(source)

    def split(self, row: Row) -> tuple[Row | None, Row | None]:
        """Return the two rows, each None if there is none."""
        one, other = (
            None if row[names["id"]] is None else {name: row[label] for name, label in names.items()}
            for names in self._names
        )
        return one, other
