"""Expired counters are removed at intervals. No call waits for the removal or fails with it."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta

import pytest
from sqlalchemy import text

from backends.protocols import CLOCK_TOLERANCE, COUNTER_SWEEP_INTERVAL
from eitherdb_contract.clock import ManualClock
from tests.backends.raw import failing_commands, mongo_database, opened, sql_connection
from tests.provision import Provision

SQLITE = ["CREATE TRIGGER keep BEFORE DELETE ON counters BEGIN SELECT RAISE(ABORT, 'kept'); END"]
POSTGRES = [
    "CREATE FUNCTION keep() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'kept'; END $$",
    "CREATE TRIGGER keep BEFORE DELETE ON counters EXECUTE FUNCTION keep()",
]


@asynccontextmanager
async def failing_sweeps(provision: Provision) -> AsyncIterator[None]:
    """Let the database refuse to delete counters."""
    if provision.settings.db_backend == "mongo":
        async with (
            mongo_database(provision.settings) as database,
            failing_commands(database, "delete", errorCode=13),
        ):
            yield
        return
    is_sqlite = provision.settings.db_backend == "sqlite"
    async with sql_connection(provision.settings) as connection:
        for statement in SQLITE if is_sqlite else POSTGRES:
            await connection.execute(text(statement))
    try:
        yield
    finally:
        async with sql_connection(provision.settings) as connection:
            await connection.execute(
                text(f"DROP {'TRIGGER keep' if is_sqlite else 'FUNCTION keep CASCADE'}")
            )


async def test_sweep_that_fails_is_a_warning(migrated: Provision, caplog: pytest.LogCaptureFixture) -> None:
    """The addition succeeds. The next sweep follows after the interval, not earlier."""
    await migrated.clean()
    clock = ManualClock()
    async with opened(migrated.open(clock=clock)) as backend:
        await backend.counters.add("old", 1, lasts_seconds=1)
        clock.pass_by(seconds=(CLOCK_TOLERANCE + COUNTER_SWEEP_INTERVAL).total_seconds() + 2)
        with caplog.at_level(logging.WARNING):
            async with failing_sweeps(migrated):
                for value in (1, 2):
                    assert (await backend.counters.add("new", 1, lasts_seconds=60)).value == value
        assert [record.getMessage() for record in caplog.records] == [
            "could not remove the counters that have ended"
        ]
        assert caplog.records[0].exc_info
        clock.pass_by(seconds=(COUNTER_SWEEP_INTERVAL + timedelta(seconds=1)).total_seconds())
        assert (await backend.counters.add("new", 1, lasts_seconds=60)).value == 1
        assert len(caplog.records) == 1
