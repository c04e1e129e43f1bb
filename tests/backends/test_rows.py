"""Stored values of SQLite and PostgreSQL, and the set-up of their connections."""

from __future__ import annotations

import asyncio
from typing import Any

from sqlalchemy import text

from backends.models import NewItem, NewUser
from eitherdb_contract.clock import ManualClock
from tests.backends.raw import opened, sql_connection
from tests.backends.record import connections_of
from tests.provision import Provision


async def test_ids_are_twelve_raw_bytes(sql: Provision) -> None:
    """Ids of users, items and owners are stored as 12 bytes, half the size of the API's hex digits."""
    await sql.clean()
    async with opened(sql.open()) as backend:
        user = await backend.users.add(NewUser(email="a@example.com", hashed_password="x"))
        item = await backend.items.add(NewItem(title="t"), owner_id=user.id)
    async with sql_connection(sql.settings) as connection:
        kind = "typeof" if sql.name == "sqlite" else "pg_typeof"
        words = text(f"SELECT id, owner_id, CAST({kind}(id) AS TEXT) FROM items")  # noqa: S608
        row = (await connection.execute(words)).one()
        users = (await connection.execute(text("SELECT id FROM users"))).scalars().all()
    assert row == (
        bytes.fromhex(item.id),
        bytes.fromhex(user.id),
        {"sqlite": "blob", "postgres": "bytea"}[sql.name],
    )
    assert users == [bytes.fromhex(user.id)]


async def test_times_are_utc_in_milliseconds(sql: Provision) -> None:
    """PostgreSQL stores a timestamp with time zone; SQLite stores UTC as text that sorts by time."""
    await sql.clean()
    clock = ManualClock()
    clock.stop()
    async with opened(sql.open(clock=clock)) as backend:
        user = await backend.users.add(NewUser(email="a@example.com", hashed_password="x"))
        assert user.created_at == clock.now
    async with sql_connection(sql.settings) as connection:
        stored: Any = (await connection.execute(text("SELECT created_at FROM users"))).scalar_one()
    if sql.name == "sqlite":
        assert stored == "2026-11-22 16:25:25.123000"
    else:
        assert stored == clock.now


async def test_text_columns_compare_by_code_point(sql: Provision) -> None:
    """PostgreSQL's columns have collation C, whatever the database has; SQLite's default is binary."""
    async with sql_connection(sql.settings) as connection:
        if sql.name == "sqlite":
            words = "SELECT group_concat(sql) FROM sqlite_master"
            assert "COLLATE" not in str((await connection.execute(text(words))).scalar_one()).upper()
        else:
            words = (
                "SELECT table_name, column_name, collation_name FROM information_schema.columns"
                " WHERE table_name IN ('users', 'items', 'counters')"
                " AND (data_type LIKE 'character%' OR data_type = 'text')"
            )
            columns = (await connection.execute(text(words))).all()
            assert {(table, column) for table, column, _ in columns} == {
                ("users", "email"),
                ("users", "hashed_password"),
                ("users", "full_name"),
                ("items", "title"),
                ("items", "description"),
                ("items", "title_folded"),
                ("items", "description_folded"),
                ("counters", "key"),
            }
            assert {collation for _, _, collation in columns} == {"C"}


async def test_every_pooled_connection_is_set_up(sql: Provision) -> None:
    """SQLite's pragmas are per connection. A connection without them would ignore foreign keys."""
    async with opened(sql.open()) as backend:
        connections = connections_of(backend)
        pragmas = {"foreign_keys": 1, "journal_mode": "wal", "synchronous": 2, "busy_timeout": 30_000}
        variables = {"application_name": "eitherdb", "default_transaction_isolation": "read committed"}
        expected: dict[str, Any] = pragmas if sql.name == "sqlite" else variables
        for name, value in expected.items():
            # Long enough for the second connection to be opened before the first is free.
            shown = f"SELECT current_setting('{name}') FROM pg_sleep(0.2)"  # noqa: S608 - of this test
            words = f"PRAGMA {name}" if sql.name == "sqlite" else shown
            both = [asyncio.create_task(connections._fetch(words, [])) for _ in range(2)]
            async with asyncio.timeout(10):
                while backend.connections_in_use < 2:  # noqa: ASYNC110 - no event tells of it
                    await asyncio.sleep(0)
            assert [[list(row) for row in found] for found in await asyncio.gather(*both)] == [
                [[value]]
            ] * 2


async def test_pool_stays_within_its_size(sql: Provision) -> None:
    """The pool never exceeds its size, which the server is configured for."""
    async with opened(sql.open(sql.settings.model_copy(update={"db_pool_size": 2}))) as backend:
        connections = connections_of(backend)
        calls = asyncio.gather(*(connections.query("SELECT count(*) FROM items") for _ in range(20)))
        most = 0
        while not calls.done():
            most = max(most, backend.connections_in_use)
            await asyncio.sleep(0)
        assert most == 2
        await calls
