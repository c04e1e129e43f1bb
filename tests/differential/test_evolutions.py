"""Differential test of declarations that change: made-up evolutions, with rows in between.

Every database has the same rows and refuses the same revisions, in the same words, as a model does. Its
schema is that of a database in which the new declaration is declared afresh. Migrators are stopped between
two writes, and run again or back. What can be undone is undone, and applied again. `make test` repeats the
same evolutions, `make differential` makes up new ones, and also kills processes.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import Counter
from collections.abc import Callable
from contextlib import AsyncExitStack
from itertools import count

import pytest
from hypothesis import HealthCheck, Phase, given, note, seed, settings
from hypothesis.strategies import builds, integers, just, lists

from tests.conftest import ONE_DRIVER_NAMES, find_provision
from tests.differential.evolutions.databases import Database, user_ids
from tests.differential.evolutions.made_up import Evolution, evolutions
from tests.differential.evolutions.run import Decisions, EvolutionRun
from tests.differential.test_differential import MINUTES, SEED, SHRINKS, pytest_generate_tests
from tests.provision import Servers

__all__ = ["pytest_generate_tests"]

logger = logging.getLogger(__name__)

EXAMPLES = 9 if MINUTES else 1
"""In a round. Hypothesis varies each one several times if there are more."""


@pytest.mark.timeout(0 if MINUTES else 600)
async def test_made_up_evolutions_are_the_same_on_every_database(
    names: list[str], servers: Servers, caplog: pytest.LogCaptureFixture
) -> None:
    """Rows, refusals and schemas are equal after any change of any declaration."""
    caplog.set_level(logging.WARNING, "alembic")
    # A second driver of a database says little more: migrations stand on its commands.
    chosen = names if MINUTES else [name for name in names if name in ONE_DRIVER_NAMES] or names
    databases = {name: Database(find_provision(name, servers)) for name in chosen}
    outcomes: Counter[str] = Counter()
    async with AsyncExitStack() as stack:
        for each in databases.values():
            stack.push_async_callback(each.stop)
            await each.start()
        loop = asyncio.get_running_loop()

        def check(evolution: Evolution, decisions: Decisions) -> None:
            note("\n\n# becomes, ".join(map(str, evolution.revisions)))
            run = EvolutionRun(databases, evolution, decisions, outcomes)
            asyncio.run_coroutine_threadsafe(run.run(), loop).result()
            outcomes["evolutions"] += 1
            logger.debug("%s", sorted(outcomes.items()))

        await asyncio.to_thread(_repeat, check, outcomes)
    logger.info("%s", sorted(outcomes.items()))


def _repeat(check: Callable[[Evolution, Decisions], None], outcomes: Counter[str]) -> None:
    """Run evolutions until the time is over, at least one round."""
    begun = time.monotonic()
    profile = settings(
        phases=[Phase.generate, *([Phase.shrink] if SHRINKS else [])],
        max_examples=EXAMPLES,
        database=None,
        deadline=None,
        report_multiple_bugs=False,
        print_blob=False,
        suppress_health_check=list(HealthCheck),
    )
    rows = lists(integers(0, 999), min_size=3, max_size=7)
    numbers = lists(integers(0, 999), min_size=24, max_size=24)
    decisions = builds(Decisions, rows, numbers, just(bool(MINUTES)))
    for number in count():
        try:
            seed(SEED + number)(profile(given(evolutions(owners=user_ids()), decisions)(check)))()
        except AssertionError as exc:
            exc.add_note(f"DIFFERENTIAL_SEED={SEED + number} repeats it")
            raise
        logger.info("seed %s: %s", SEED + number, sorted(outcomes.items()))
        if time.monotonic() - begun >= MINUTES * 60:
            return
