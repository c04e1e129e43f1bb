"""Look-ups by id."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Generic, TypeVar

from sqlalchemy import select

from backends.dataloader import DataLoader
from backends.models import StoredObject
from backends.sql.functions import is_one_of_ids
from backends.sql.pairs import RowById

if TYPE_CHECKING:
    from sqlalchemy import Table

    from backends.sql.connections import Connections

R = TypeVar("R", bound=StoredObject)


class ById(Generic[R]):
    """Finds records by id. For a database server, concurrent look-ups are batched."""

    def __init__(
        self, connections: Connections, table: Table, record: type[R], columns: Sequence[str]
    ) -> None:
        """Look up rows of this table.

        Args:
            connections: The database.
            table: A table with a column `id`.
            record: The class of the records.
            columns: The columns of the record's fields.
        """
        self._of_one = RowById(table, columns)
        rows = select(*(table.c[name] for name in columns))
        self._of_many = rows.where(is_one_of_ids(table.c.id, "of_ids"))
        self._connections = connections
        self._record = record
        self._loader = DataLoader(self._find)

    async def get(self, id: str) -> R | None:
        """Return the record with this id, or None."""
        if self._connections.asks_a_server:
            return await self._loader.load(id)
        return (await self._find([id])).get(id)

    async def _find(self, ids: Sequence[str]) -> dict[str, R]:
        if len(ids) > 1:
            rows = await self._connections.run(self._of_many, {"of_ids": ids})
        elif self._connections.asks_a_server:
            row = await self._connections.paired.find(self._of_one, ids[0])
            rows = [] if row is None else [row]
        else:
            rows = await self._connections.look_up(self._of_one.statement, {"of_id": ids[0]})
        return {row["id"]: self._record.of_fields(row) for row in rows}
