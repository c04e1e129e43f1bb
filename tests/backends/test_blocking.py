"""The database without an event loop, on real servers: threads, processes, interruption, connections."""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import sys
import time
from asyncio.subprocess import PIPE
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any, assert_type

import pytest
from pymongo import AsyncMongoClient

import eitherdb
from backends.capabilities import Capability
from backends.errors import SchemaMismatch
from backends.models import Item, Page
from cli.database import opened_backend
from config import Settings
from eitherdb.blocking import Database, DatabaseClosed
from eitherdb.models import NewItem, NewUser
from tests.backends.methods import METHODS, REFUSALS, add_rows
from tests.blocking import Awaited
from tests.cli.command import call_async, environment
from tests.conftest import ONE_BACKEND
from tests.provision import Provision, connect_postgres

ROOT = Path(__file__).parents[2]
SCRIPT = "tests.backends.blocking_script"
THREADS, CALLS = 8, 50


async def connections(settings: Settings) -> int:
    """Return the number of EitherDB's connections, as the server or the system counts them."""
    if settings.db_backend == "sqlite":
        # Closed files have no descriptor.
        path = settings.url.removeprefix("sqlite:///")
        return sum(os.path.realpath(each).startswith(path) for each in Path("/proc/self/fd").iterdir())  # noqa: ASYNC240 - no disk
    if settings.db_backend == "postgres":
        connection = await connect_postgres(settings.url)
        count = await connection.fetchval(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
        )
        await connection.close()
        return int(count)
    async with AsyncMongoClient[dict[str, Any]](settings.url) as client:
        stages: list[dict[str, Any]] = [
            {"$currentOp": {"allUsers": True, "idleConnections": True}},
            {"$match": {"appName": {"$regex": "^eitherdb"}}},
        ]
        return len(await (await client.admin.aggregate(stages)).to_list())


async def wait_until_closed(before: int, settings: Settings) -> None:
    """Wait until there are no more connections than before: a server notices an end a little later."""
    async with asyncio.timeout(10):
        while await connections(settings) > before:  # noqa: ASYNC110 - the server tells nobody
            await asyncio.sleep(0.02)


async def new_owner(settings: Settings) -> str:
    """Add a user, and return the id."""
    async with eitherdb.open_backend(settings) as db:
        email = f"owner{time.monotonic_ns()}@example.com"
        return (await db.users.add(NewUser(email=email, hashed_password="x"))).id


async def test_every_method_works_without_an_event_loop(migrated: Provision) -> None:
    """Each returns, or raises its error, and keeps no connection."""
    await migrated.clean()
    with eitherdb.open_blocking(migrated.settings) as db:
        awaited: Any = Awaited(db)
        rows = await add_rows(awaited)
        for name, (call, _, _) in METHODS.items():
            await call(awaited, rows)
            assert db.connections_in_use == 0, name
            if "delete" in name or "transfer" in name:
                rows = await add_rows(awaited)
        rows = await add_rows(awaited)
        for name, (call, error, _, _) in REFUSALS.items():
            with pytest.raises(error):
                await call(awaited, rows)
            assert db.connections_in_use == 0, name
        assert db.server.product
        assert db.capabilities == set(Capability)
        db.check_schema()


async def test_threads_share_a_database_and_its_connections_are_given_back(migrated: Provision) -> None:
    """Each call of each thread takes effect. After the end the server has no connection of it."""
    before = await connections(migrated.settings)
    owner_id = await new_owner(migrated.settings)
    with eitherdb.open_blocking(migrated.settings) as db:

        def work(number: int) -> list[str]:
            return [
                db.items.get(db.items.add(NewItem(title=f"{number} {call}"), owner_id=owner_id).id).title
                for call in range(CALLS // 2)
            ]

        with ThreadPoolExecutor(THREADS) as pool:
            titles = {title for found in pool.map(work, range(THREADS)) for title in found}
        assert titles == {f"{number} {call}" for number in range(THREADS) for call in range(CALLS // 2)}
        page = db.repository(Item).list(owner_id=owner_id, limit=1000)
        assert_type(page, Page[Item])  # mypy checks it
        assert ({item.title for item in page.data}, page.count) == (titles, len(titles))
        assert db.connections_in_use == 0
        assert await connections(migrated.settings) > before
    await wait_until_closed(before, migrated.settings)
    with pytest.raises(DatabaseClosed):
        db.items.get(owner_id)


async def test_program_forks_and_is_interrupted(migrated: Provision) -> None:
    """Forked processes have connections of their own. Ctrl-C cancels the running call, and waits for it.

    The program goes on in both cases. It does not close the database, and warnings are errors in it.
    """
    before = await connections(migrated.settings)
    owner_id = await new_owner(migrated.settings)
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-W", "error", "-m", SCRIPT, owner_id),
        env=environment(ROOT, migrated.settings),
        cwd=ROOT,
        stdout=PIPE,
        stderr=PIPE,
    )
    try:
        assert process.stdout is not None
        lines = [(await process.stdout.readline()).decode().strip() for _ in range(3)]
        await asyncio.sleep(0.3)
        process.send_signal(signal.SIGINT)
        out, err = await process.communicate()
    finally:
        with suppress(ProcessLookupError):
            process.kill()
    titles = [f"item {number}" for number in range(8)]
    assert err.decode() == ""
    assert lines == [f"{titles} {{'item'}}", "item 9 10 True", "ready"]
    assert out.decode().splitlines() == ["1", "0 True 0"]
    assert process.returncode == 0
    await wait_until_closed(before, migrated.settings)


@ONE_BACKEND
async def test_database_that_is_behind_is_refused_as_by_serve(migrated: Provision, tmp_path: Path) -> None:
    """The message names the command to run, for both ways to open it."""
    async with migrated.empty_database() as settings:
        async with opened_backend(settings, purpose=None):
            pass  # SQLite makes the file
        refusal = (await call_async(tmp_path, "serve", settings=settings)).refusal()
        gc.enable()  # `serve` had not come that far
        with pytest.raises(SchemaMismatch) as caught:
            await asyncio.to_thread(Database, lambda: eitherdb.open_backend(settings))
        assert str(caught.value) == refusal
        with pytest.raises(SchemaMismatch, match="run `eitherdb migrate upgrade`"):
            eitherdb.open_blocking(settings)


async def test_open_backend_opens_in_the_running_loop(migrated: Provision) -> None:
    """One line opens the database and closes it."""
    before = await connections(migrated.settings)
    async with eitherdb.open_backend(migrated.settings) as db:
        email = f"loop{time.monotonic_ns()}@example.com"
        user = await db.users.add(NewUser(email=email, hashed_password="x"))
        item = await db.repository(Item).add(NewItem(title="one"), owner_id=user.id)
        assert await db.items.get(item.id) == item
    await wait_until_closed(before, migrated.settings)
