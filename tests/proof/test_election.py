"""Failover of a MongoDB primary: the new primary has each acknowledged write exactly once."""

from __future__ import annotations

import pytest

from migrations import open_migrator
from tests.proof.faults import Faults, crash_of
from tests.proof.processes import two_servers
from tests.proof.replica_set import replica_set
from tests.proof.scenario import Scenario


@pytest.mark.crashes
@pytest.mark.timeout(1800)
@pytest.mark.usefixtures("machine")
async def test_transfers_add_up_over_an_election(electing: str) -> None:
    """The primary is killed during the load and returns as a secondary."""
    async with replica_set("pymongo" if electing == "mongo-pymongo" else "motor") as database:
        await open_migrator(database.settings).upgrade()
        async with two_servers(database.settings) as servers:
            faults = Faults([crash_of(database)])
            await Scenario(database.settings, servers).run_load(faults)
        first, elected, *_ = database.primaries
        assert elected != first
