"""Short queries on SQLite run in the event loop, within a budget; the others run in threads."""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from backends import open_backend
from backends.models import ItemFilter, NewItem, NewUser
from backends.protocols import Backend
from backends.sql.sqlite import SqliteConnections
from migrations import open_migrator
from tests.backends.raw import opened
from tests.backends.record import connections_of
from tests.provision import make_settings

ITEMS = 4_000
"""A search reads so many rows that it exceeds the budget several times."""

Threads = list[str]


@pytest.fixture
async def many(tmp_path: Path) -> AsyncIterator[Backend]:
    """Return a backend with many items of one owner."""
    settings = make_settings(db_backend="sqlite", database_url=f"sqlite:///{tmp_path}/many.db")
    await open_migrator(settings).upgrade()
    async with opened(open_backend(settings)) as backend:
        owner = await backend.users.add(NewUser(email="a@example.com", hashed_password="x"))
        for _ in range(ITEMS // 1000):
            await backend.items.add_many([NewItem(title="Loom")] * 1000, owner_id=owner.id)
        yield backend


@pytest.fixture
def in_threads(many: Backend, monkeypatch: pytest.MonkeyPatch) -> Threads:
    """Return the SQL of the queries that run in threads from now on."""
    connections = connections_of(many)
    assert isinstance(connections, SqliteConnections)
    found: Threads = []
    fetch = connections._fetch

    async def record(sql: str, arguments: list[object]) -> object:
        found.append(sql)
        return await fetch(sql, arguments)

    monkeypatch.setattr(connections, "_fetch", record)
    return found


async def test_page_runs_in_the_event_loop(many: Backend, in_threads: Threads) -> None:
    """Any number of times: instructions of earlier runs don't count."""
    for _ in range(100):
        assert len((await many.items.list(count=False)).rows) == 100
    assert in_threads == []


async def test_long_query_runs_in_a_thread(many: Backend, in_threads: Threads) -> None:
    """The event loop tries it once in a second. The results are the same."""
    for _ in range(3):
        page = await many.items.list(where=ItemFilter(q="jacquard"))
        assert (page.rows, page.count) == ([], 0)
    assert len(in_threads) == 3
    attempts: list[str] = []
    connections = connections_of(many)
    assert isinstance(connections, SqliteConnections)
    connections._look_up.do(lambda connection: connection.set_trace_callback(attempts.append))
    await many.items.list(where=ItemFilter(q="jacquard"))
    assert attempts == []
    assert len((await many.items.list(count=False)).rows) == 100
    assert len(attempts) == 1
    assert len(in_threads) == 4


async def test_budget_limits_a_query(many: Backend) -> None:
    """A query in the event loop is interrupted, so that it does not block other requests."""
    connections = connections_of(many)
    assert isinstance(connections, SqliteConnections)
    connections._budget.start()
    query = """
        WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT 3000000) SELECT count(*) FROM n
    """
    with pytest.raises(sqlite3.OperationalError, match="interrupted"):
        connections._look_up.do(lambda connection: connection.execute(query).fetchall())
