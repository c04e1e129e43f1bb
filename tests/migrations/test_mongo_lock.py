"""MongoDB's migration lock: a lease that its holder renews and that expires after the holder's death."""

from __future__ import annotations

import asyncio
import os
import re
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from backends.errors import Conflict
from backends.mongo.driver import Database, open_driver
from backends.mongo.schema import MIGRATIONS_LOCK
from config import Settings
from migrations import open_migrator
from migrations.mongo import lock
from migrations.mongo.lock import Lease, migration_lock
from tests.backends.raw import MongoDatabase, failing_commands, mongo_database
from tests.conftest import EVERY_BACKEND
from tests.migrations.numbers import every_number
from tests.provision import Provision

pytestmark = EVERY_BACKEND

SHORT_LEASE_SECONDS = 0.9


@pytest.fixture
def short_lease(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a lease expire in less than a second instead of 30."""
    monkeypatch.setattr(lock, "LEASE_SECONDS", SHORT_LEASE_SECONDS)


@asynccontextmanager
async def opened(settings: Settings) -> AsyncIterator[Database]:
    """Open the database as a migrator does."""
    driver = open_driver(settings, command_timeout=False)
    try:
        yield driver.database
    finally:
        await driver.close()


async def lease(database: MongoDatabase) -> dict[str, Any] | None:
    """Return the current lease."""
    return await database[MIGRATIONS_LOCK].find_one({})


async def leave_lease(database: MongoDatabase, *, seconds: float) -> None:
    """Write the lease of a dead holder; it expires in `seconds`, which may be negative."""
    until = datetime.now(UTC) + timedelta(seconds=seconds)
    await database[MIGRATIONS_LOCK].insert_one({"_id": "migrations", "holder": "dead", "expires_at": until})


async def becomes(holds: Callable[[], Awaitable[bool]]) -> None:
    """Poll until the condition holds, for up to 10 seconds."""
    async with asyncio.timeout(10):
        while not await holds():  # noqa: ASYNC110 - it is a server's state, which sets no event here
            await asyncio.sleep(0.02)


async def test_lease_of_a_dead_holder_is_taken_over(mongo: Provision) -> None:
    """An expired lease is taken over, and no lease remains after the migration."""
    async with mongo.empty_database() as settings, mongo_database(settings) as database:
        await leave_lease(database, seconds=-0.001)
        async with asyncio.timeout(5):
            assert await open_migrator(settings).upgrade() == every_number(settings)
        assert await lease(database) is None


async def test_lease_that_runs_is_waited_for(mongo: Provision) -> None:
    """A migration waits until another holder's lease expires."""
    loop = asyncio.get_running_loop()
    async with mongo.empty_database() as settings, mongo_database(settings) as database:
        await leave_lease(database, seconds=1)
        began = loop.time()
        assert await open_migrator(settings).upgrade() == every_number(settings)
        assert loop.time() - began > 0.9


@pytest.mark.usefixtures("short_lease")
async def test_lease_by_a_clock_ahead_lasts_no_longer_than_another(mongo: Provision) -> None:
    """A lease from a primary whose clock was two hours ahead is taken over after one lease period."""
    async with mongo.empty_database() as settings, mongo_database(settings) as database:
        await leave_lease(database, seconds=7200)
        async with asyncio.timeout(20):
            assert await open_migrator(settings).upgrade() == every_number(settings)
        assert await lease(database) is None


async def test_expired_lease_goes_to_one_of_many(mongo: Provision) -> None:
    """Of many concurrent instances, exactly one takes an expired lease."""
    async with mongo.empty_database() as settings, mongo_database(settings) as database:
        await leave_lease(database, seconds=-1)
        async with opened(settings) as contenders:
            taken = await asyncio.gather(*(Lease(contenders, f"holder {n}").take() for n in range(8)))
        assert sorted(taken) == [False] * 7 + [True]
        found = await lease(database)
        assert found is not None
        assert found["holder"] == f"holder {taken.index(True)}"


@pytest.mark.usefixtures("short_lease")
async def test_living_holder_keeps_its_lease_as_long_as_it_needs(mongo: Provision) -> None:
    """The holder renews its lease; an instance that waits longer than a lease period doesn't get it."""
    async with (
        mongo.empty_database() as settings,
        mongo_database(settings) as database,
        opened(settings) as mine,
        opened(settings) as other,
    ):
        async with migration_lock(mine, wait_seconds=5):
            before = await lease(database)
            with pytest.raises(Conflict, match=rf"pid {os.getpid()} on "):
                async with migration_lock(other, wait_seconds=2 * SHORT_LEASE_SECONDS):
                    pytest.fail("two instances migrate at once")
            after = await lease(database)
            assert before is not None
            assert after is not None
            assert after["holder"] == before["holder"]
            assert after["expires_at"] > before["expires_at"]
        async with migration_lock(other, wait_seconds=0):
            pass
        assert await lease(database) is None


@pytest.mark.usefixtures("short_lease")
async def test_failed_renewal_is_retried(mongo: Provision) -> None:
    """Without the retry, another instance would start while this one still migrates."""
    async with (
        mongo.empty_database() as settings,
        mongo_database(settings) as database,
        opened(settings) as mine,
    ):
        async with migration_lock(mine, wait_seconds=5):
            before = await lease(database)
            assert before is not None

            async def renewed() -> bool:
                now = await lease(database)
                return now is not None and now["expires_at"] > before["expires_at"]

            async with failing_commands(database, "update", times=1, errorCode=8000):
                await becomes(renewed)
        assert await lease(database) is None


@pytest.mark.usefixtures("short_lease")
async def test_lost_lease_stops_the_migration(mongo: Provision) -> None:
    """If another instance takes over, the body is cancelled and the other's lease stays."""
    async with (
        mongo.empty_database() as settings,
        mongo_database(settings) as database,
        opened(settings) as mine,
    ):

        async def migrate() -> None:
            async with migration_lock(mine, wait_seconds=5):
                await database[MIGRATIONS_LOCK].delete_many({})
                await leave_lease(database, seconds=60)
                await asyncio.wait_for(asyncio.Event().wait(), 10)

        with pytest.raises(Conflict, match="lost"):
            await migrate()
        found = await lease(database)
        assert found is not None
        assert found["holder"] == "dead"
        task = asyncio.current_task()
        assert task is not None
        assert task.cancelling() == 0


async def test_lock_is_free_after_a_failure(mongo: Provision) -> None:
    """The lease is released if the body fails or is cancelled; the error is passed on."""
    async with (
        mongo.empty_database() as settings,
        mongo_database(settings) as database,
        opened(settings) as mine,
    ):
        with pytest.raises(RuntimeError, match="on the way"):
            async with migration_lock(mine, wait_seconds=0):
                raise RuntimeError("on the way")
        assert await lease(database) is None

        inside = asyncio.Event()

        async def hold() -> None:
            async with migration_lock(mine, wait_seconds=0):
                inside.set()
                await asyncio.Event().wait()

        holder = asyncio.create_task(hold())
        await inside.wait()
        holder.cancel()
        with pytest.raises(asyncio.CancelledError):
            await holder
        assert await lease(database) is None


async def test_wait_for_a_lease_logs_its_holder_once(
    mongo: Provision, caplog: pytest.LogCaptureFixture
) -> None:
    """The log names host, process and start; for a lease of an earlier version, another instance."""
    async with mongo.empty_database() as settings, opened(settings) as mine:
        async with migration_lock(mine, wait_seconds=0):
            waiting = asyncio.create_task(open_migrator(settings).upgrade())
            await becomes(lambda: asyncio.sleep(0, bool(caplog.records)))
        assert await waiting == every_number(settings)
        async with mongo_database(settings) as database:
            await leave_lease(database, seconds=60)
        assert await Lease(mine, "mine").describe_holder() == "another instance"
    (record,) = caplog.records
    holder = rf"the process with pid {os.getpid()} on {re.escape(socket.gethostname())}"
    since = r"\(since \d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC\)"
    told = f"waiting up to 600 seconds for the migration lock: {holder} {since} has it"
    assert re.fullmatch(told, record.getMessage())


@pytest.mark.usefixtures("short_lease")
async def test_lease_that_is_not_renewed_ends_whatever_the_clock_says(mongo: Provision) -> None:
    """A lease that isn't renewed ends after one period: after a failover the clock may be hours behind."""
    async with mongo.empty_database() as settings, mongo_database(settings) as database:
        await leave_lease(database, seconds=3600)
        async with asyncio.timeout(10):
            assert await open_migrator(settings).upgrade() == every_number(settings)
        assert await lease(database) is None
