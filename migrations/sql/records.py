"""Reads which revisions of declared resources are recorded, without Alembic and SQLAlchemy's engine.

Each start of the server asks for them, and importing Alembic takes a fifth of a start.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from backends.sql.backend import open_connections
from backends.sql.ownership import catalog_query, occupancy
from backends.sql.resource_migrations import RESOURCE_MIGRATIONS
from backends.sql.schema_check import Queries, answer
from migrations.resources.plan import require_same

if TYPE_CHECKING:
    from collections.abc import Sequence

    from config import Settings
    from migrations.resources.history import History

_TABLES = {RESOURCE_MIGRATIONS.name: RESOURCE_MIGRATIONS}
_READ_RECORDS = "SELECT history, number, summary FROM resource_migrations ORDER BY history, number"


async def read_applied(settings: Settings, histories: Sequence[History] = ()) -> dict[str, str]:
    """See `migrations.read_applied`. Records are compared with the histories, if they are given."""
    queries = records_of(histories, on_sqlite=settings.db_backend == "sqlite")
    connections = open_connections(settings)
    try:
        await connections.open()
        return await answer(queries, connections.query)
    finally:
        await connections.close()


def records_of(histories: Sequence[History], *, on_sqlite: bool) -> Queries[dict[str, str]]:
    """Return the queries of `read_applied`."""
    rows = yield catalog_query(_TABLES, on_sqlite=on_sqlite)
    if not occupancy(rows, [], _TABLES, on_sqlite=on_sqlite).recognised:
        return {}
    records = [tuple(map(str, row)) for row in (yield _READ_RECORDS)]
    require_same(histories, records)
    return {history: number for history, number, _ in records}
