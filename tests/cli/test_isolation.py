"""`eitherdb conformance`: isolation trials that end with an error."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from backends.ids import utc_now
from backends.models import Account, Page
from backends.protocols import Backend
from backends.scratch import Scratch
from cli.conformance import isolation
from cli.conformance.provision import ScratchProvision
from cli.conformance.report import Report
from cli.conformance.suite import Outcome
from tests.provision import make_settings


@pytest.fixture
async def place(tmp_path: Path) -> AsyncIterator[tuple[Scratch, Backend]]:
    """Return a scratch database without transactions, whose trials are slow, and a backend on it."""
    provision = ScratchProvision(
        make_settings(db_backend="sqlite", database_url=f"sqlite:///{tmp_path}/app.db")
    )
    await provision.start()
    backend = await provision.open()
    yield WithoutTransactions(provision.scratch), backend
    await backend.close()
    await provision.stop()


class WithoutTransactions:
    """A scratch database without transactions that stay open between calls."""

    def __init__(self, scratch: Scratch) -> None:
        self.settings = scratch.settings
        self.clean = scratch.clean
        self.drop = scratch.drop
        self.durability_faults = scratch.durability_faults
        self.set_numbers = scratch.set_numbers

    async def begin(self) -> None:
        """See `Scratch`."""


async def test_error_in_a_trial_fails_only_this_trial(
    place: tuple[Scratch, Backend], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The other trials run; a report with the failed one does not conform."""
    scratch, backend = place

    async def fail(*_: Any, **__: Any) -> None:
        raise OSError("out of paper")

    monkeypatch.setattr(backend.items, "update", fail)
    first, *others = await isolation.measure(scratch, backend)
    assert first.anomaly == "lost update"
    assert (first.in_transactions, first.in_eitherdb) == (None, "failed")
    assert first.seen_in_eitherdb == "the trial ended with OSError: out of paper"
    assert [finding.in_eitherdb for finding in others] == ["prevented"] * 3
    assert conforms(others)
    assert not conforms([first, *others])


async def test_error_in_the_servers_own_transactions_fails_the_trial(
    place: tuple[Scratch, Backend], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A trial that could not run is not ignored."""
    scratch, backend = place

    async def fail() -> None:
        raise OSError("out of paper")

    monkeypatch.setattr(scratch, "begin", fail)
    findings = await isolation.measure(scratch, backend)
    assert {finding.in_transactions for finding in findings} == {"failed"}
    assert {finding.in_eitherdb for finding in findings} == {"prevented"}
    assert not any(conforms([finding]) for finding in findings)


async def test_calls_that_never_wait_are_tried_like_others(
    place: tuple[Scratch, Backend], monkeypatch: pytest.MonkeyPatch
) -> None:
    """An in-memory backend never yields to the event loop."""
    scratch, backend = place
    account = Account(
        id="0" * 24,
        owner_id="1" * 24,
        name="a",
        currency="EUR",
        balance_minor=100,
        created_at=utc_now(),
        version=2,
    )

    async def at_once(**_: Any) -> Page[Account]:
        return Page.of([account], count=1, next=None)

    monkeypatch.setattr(backend.accounts, "list", at_once)
    findings = await isolation.measure(scratch, backend)
    assert {finding.in_eitherdb for finding in findings} == {"prevented"}


def conforms(findings: list[isolation.Finding]) -> bool:
    """Return whether a report with these findings conforms."""
    report = Report(
        eitherdb="1.0",
        begun_at="2026-11-23T10:00:00+00:00",
        seconds=1,
        database={},
        capabilities={},
        isolation=findings,
        latencies=[],
        outcome=Outcome([], [], []),
    )
    return report.conforms
