"""Transfers of many clients through two servers: nothing is lost, doubled or half done, and all add up."""

from __future__ import annotations

import pytest

from migrations import open_migrator
from tests.proof.faults import alternately
from tests.proof.processes import own_database, two_servers
from tests.proof.scenario import Stage

pytestmark = [pytest.mark.timeout(1800), pytest.mark.usefixtures("machine")]


async def test_transfers_add_up(loaded: str) -> None:
    """Without a fault."""
    async with own_database(loaded) as (settings, _):
        await open_migrator(settings).upgrade()
        async with two_servers(settings) as servers:
            await Stage(settings, servers).prove()


@pytest.mark.crashes
async def test_transfers_add_up_while_processes_are_killed(crashing: str) -> None:
    """The database's server, where it has one, and one of the two servers: three times each."""
    async with own_database(crashing) as (settings, database):
        await open_migrator(settings).upgrade()
        async with two_servers(settings) as servers:
            await Stage(settings, servers).prove(alternately(database, servers[1]))
