"""Load tests: concurrent transfers through two servers; none is lost, duplicated or partial."""

from __future__ import annotations

import pytest

from migrations import open_migrator
from tests.proof.faults import alternately
from tests.proof.processes import own_database, two_servers
from tests.proof.scenario import Scenario

pytestmark = [pytest.mark.timeout(1800), pytest.mark.usefixtures("machine")]


async def test_transfers_add_up(loaded: str) -> None:
    """Without faults."""
    async with own_database(loaded) as (settings, _):
        await open_migrator(settings).upgrade()
        async with two_servers(settings) as servers:
            await Scenario(settings, servers).run_load()


@pytest.mark.crashes
async def test_transfers_add_up_while_processes_are_killed(crashing: str) -> None:
    """The database server (if there is one) and one service are killed three times each."""
    async with own_database(crashing) as (settings, database):
        await open_migrator(settings).upgrade()
        async with two_servers(settings) as servers:
            await Scenario(settings, servers).run_load(alternately(database, servers[1]))
