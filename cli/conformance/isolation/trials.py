"""Tries each anomaly in both."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any

from backends.capabilities import Capability
from backends.protocols import Backend
from backends.scratch import Scratch
from cli.conformance.isolation.finding import NO_TRANSACTION, Finding, Seen
from cli.conformance.isolation.methods import (
    ROUNDS,
    balances_while_money_moves,
    owner_goes_while_money_comes,
    statement_while_entries_come,
    updates_of_one_version,
)
from cli.conformance.isolation.schedules import (
    Schedule,
    dirty_read,
    lost_update,
    phantom,
    try_schedule,
    write_skew,
)


@dataclass(frozen=True, slots=True)
class _Anomaly:
    name: str
    means: str
    schedule: Schedule
    in_eitherdb: Callable[[Backend], Coroutine[Any, Any, str | None]]
    seen: str
    needs: Capability | None = Capability.TRANSACTIONS


ANOMALIES = (
    _Anomaly(
        "lost update",
        "Two read one row, both change it, and the first change is overwritten.",
        lost_update,
        updates_of_one_version,
        f"of two changes of one version exactly one was made, {ROUNDS} times",
        needs=None,
    ),
    _Anomaly(
        "write skew",
        "Two read the same rows, each changes another, and together they break what held for each.",
        write_skew,
        owner_goes_while_money_comes,
        f"an account went with its owner or took the money, never both, {ROUNDS} times",
    ),
    _Anomaly(
        "dirty read",
        "One reads what another wrote and then takes back.",
        dirty_read,
        balances_while_money_moves,
        "the balances added up at every read, while transfers were made and refused",
    ),
    _Anomaly(
        "phantom",
        "One reads twice by a condition, and the second time a row is there that another added.",
        phantom,
        statement_while_entries_come,
        f"a statement had the entries of its moment, whatever came later, {ROUNDS} times",
    ),
)


async def _try_methods(scratch: Scratch, backend: Backend, anomaly: _Anomaly) -> Seen:
    await scratch.clean()
    fault = await anomaly.in_eitherdb(backend)
    return ("possible", fault) if fault else ("prevented", anomaly.seen)


async def _to_its_end(trial: Coroutine[Any, Any, Seen]) -> Seen:
    try:
        return await trial
    except Exception as exc:  # noqa: BLE001 - of a driver or a backend, of whichever kind
        return "failed", f"the trial ended with {type(exc).__name__}: {exc}"


async def measure(scratch: Scratch, backend: Backend) -> list[Finding]:
    """Try each anomaly on an empty, migrated scratch place and a backend that is open on it."""
    found = []
    for anomaly in ANOMALIES:
        raw: Seen = None, NO_TRANSACTION
        if Capability.TRANSACTIONS in backend.capabilities:
            raw = await _to_its_end(try_schedule(scratch, anomaly.schedule))
        if anomaly.needs is None or anomaly.needs in backend.capabilities:
            ours = await _to_its_end(_try_methods(scratch, backend, anomaly))
        else:
            ours = None, f"refused: the capability {anomaly.needs} is absent"
        found.append(Finding(anomaly.name, anomaly.means, *raw, *ours))
    await scratch.clean()
    return found
