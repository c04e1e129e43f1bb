"""Differential test of declared resources: made-up declarations with made-up histories.

Every backend responds as all others do, byte for byte, and as the model does. A failure prints the shortest
failing declaration and history. `make test` repeats the same ones, `make differential` makes up new ones.
"""

from __future__ import annotations

import asyncio
import logging
import time
from contextlib import AsyncExitStack
from itertools import count

import pytest
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis.strategies import builds, integers, lists, sampled_from, tuples

from api import security
from eitherdb_contract.clock import ManualClock
from tests.conftest import find_provision
from tests.contract.made_up import declarations
from tests.differential.declared import OPERATIONS, Databases, History, Step
from tests.differential.systems import START
from tests.differential.test_differential import MINUTES, SEED, SHRINKS, pytest_generate_tests
from tests.provision import Servers

__all__ = ["pytest_generate_tests"]

logger = logging.getLogger(__name__)

EXAMPLES, STEPS = (30, 60) if MINUTES else (4, 24)
STEP = builds(Step, sampled_from(OPERATIONS), tuples(*[integers(0, 999)] * 20))


@pytest.mark.timeout(0 if MINUTES else 600)
async def test_made_up_resources_are_the_same_on_every_backend(
    names: list[str], servers: Servers, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Status, headers and body of every response are equal for any declaration and history."""
    for chatty in ("httpx2", "api"):
        caplog.set_level(logging.WARNING, chatty)
    clock = ManualClock()
    clock.stop()
    clock.now = START
    monkeypatch.setattr(security, "utc_now", clock)
    async with AsyncExitStack() as stack:
        provisions = {name: find_provision(name, servers) for name in names}
        for provision in provisions.values():
            await provision.start()
            stack.push_async_callback(provision.stop)
        databases = Databases(asyncio.get_running_loop(), provisions)
        await asyncio.to_thread(run, databases)
        logger.info("%s calls: %s", databases.calls, sorted(databases.outcomes.items()))


def run(databases: Databases) -> None:
    """Run histories until the time is over, at least one round."""
    begun = time.monotonic()

    def history(source: str, steps: list[Step]) -> None:
        history = History(databases, source)
        try:
            for step in steps:
                history.run(step)
        finally:
            history.close()

    profile = settings(
        phases=[Phase.generate, *([Phase.shrink] if SHRINKS else [])],
        max_examples=EXAMPLES,
        database=None,
        deadline=None,
        report_multiple_bugs=False,
        print_blob=False,
        suppress_health_check=list(HealthCheck),
    )
    for number in count():
        steps = lists(STEP, min_size=STEPS // 2, max_size=STEPS)
        try:
            seed(SEED + number)(profile(given(declarations(), steps)(history)))()
        except AssertionError as exc:
            exc.add_note(f"DIFFERENTIAL_SEED={SEED + number} repeats it")
            raise
        logger.info("seed %s: %s calls so far", SEED + number, databases.calls)
        if time.monotonic() - begun >= MINUTES * 60:
            return
