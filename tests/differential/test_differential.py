"""Differential test: every backend responds to every history as the model and all other backends do.

Responses are compared byte for byte. `make test` repeats the same histories each time. `make differential`
generates new ones for DIFFERENTIAL_MINUTES and prints the coverage. A failure prints the shortest failing
history and its seed; DIFFERENTIAL_SEED repeats it.
"""

from __future__ import annotations

import asyncio
import logging
import os
import secrets
import time
from contextlib import AsyncExitStack
from itertools import count
from typing import cast

import pytest
from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis.stateful import RuleBasedStateMachine, run_state_machine_as_test

from eitherdb_contract.selection import run_on_backends, selected_backends
from tests.conftest import MIGRATED_NAMES, find_provision
from tests.differential.coverage import report_of
from tests.differential.machine import Machine
from tests.differential.systems import Systems, systems_under_test
from tests.provision import Servers

logger = logging.getLogger(__name__)

MINUTES = float(os.environ.get("DIFFERENTIAL_MINUTES") or 0)
SEED = int(os.environ.get("DIFFERENTIAL_SEED") or (secrets.randbelow(2**32) if MINUTES else 20261123))
# Without shrinking a failure is found sooner, with a longer history.
SHRINKS = os.environ.get("DIFFERENTIAL_SHRINK") != "0"
PROFILE = settings(
    phases=[Phase.generate, *([Phase.shrink] if SHRINKS else [])],
    max_examples=7,
    stateful_step_count=80,
    database=None,
    deadline=None,
    report_multiple_bugs=False,
    print_blob=False,
    suppress_health_check=list(HealthCheck),
)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Use all selected backends at once. Only backends with migrations have servers."""
    names = [name for name in selected_backends(metafunc.config) if name in MIGRATED_NAMES]
    if names:
        metafunc.parametrize("names", [names], ids=["-".join(names)])
    else:
        run_on_backends(metafunc, "names", MIGRATED_NAMES, indirect=False)


@pytest.mark.timeout(0 if MINUTES else 600)  # Shrinking takes up to five minutes.
async def test_histories_are_the_same_on_every_backend(
    names: list[str], servers: Servers, caplog: pytest.LogCaptureFixture
) -> None:
    """Status, headers and body of every response are equal after any history."""
    for chatty in ("httpx2", "api"):  # A log line per request, and one per email.
        caplog.set_level(logging.WARNING, chatty)
    async with AsyncExitStack() as stack:
        provisions = {name: find_provision(name, servers) for name in names}
        for provision in provisions.values():
            await provision.start()
            stack.push_async_callback(provision.stop)
        systems = await stack.enter_async_context(systems_under_test(provisions))
        await asyncio.to_thread(run, systems)
        logger.info("%s", report_of(systems))


def run(systems: Systems) -> None:
    """Run histories until the time is over, at least one round."""
    begun = time.monotonic()
    for number in count():
        make = seed(SEED + number)(lambda: Machine(systems))
        try:
            run_state_machine_as_test(cast("type[RuleBasedStateMachine]", make), settings=PROFILE)
        except AssertionError as exc:
            exc.add_note(f"DIFFERENTIAL_SEED={SEED + number} repeats it")
            raise
        logger.info("seed %s: %s calls so far", SEED + number, systems.coverage.total())
        if time.monotonic() - begun >= MINUTES * 60:
            return
