"""The four anomalies, and their trials in the server's transactions and in EitherDB's methods."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any

from backends.capabilities import Capability
from backends.protocols import Backend
from backends.scratch import Scratch
from cli.conformance.isolation.finding import NO_TRANSACTION, Finding, TrialResult
from cli.conformance.isolation.methods import (
    ROUNDS,
    delete_owner_during_deposit,
    read_balances_during_transfers,
    read_statement_during_deposits,
    update_one_version_twice,
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
        update_one_version_twice,
        f"of two changes of one version exactly one was made, {ROUNDS} times",
        needs=None,
    ),
    _Anomaly(
        "write skew",
        "Two read the same rows, each changes another row, and together they break an invariant.",
        write_skew,
        delete_owner_during_deposit,
        f"an account went with its owner or took the money, never both, {ROUNDS} times",
    ),
    _Anomaly(
        "dirty read",
        "One reads a value that another wrote and then rolls back.",
        dirty_read,
        read_balances_during_transfers,
        "the sum of the balances was right at every read, during accepted and refused transfers",
    ),
    _Anomaly(
        "phantom",
        "One reads twice by a condition, and the second read has a row that another added.",
        phantom,
        read_statement_during_deposits,
        f"a statement had the entries of its snapshot and no later ones, {ROUNDS} times",
    ),
)


async def _try_methods(scratch: Scratch, backend: Backend, anomaly: _Anomaly) -> TrialResult:
    await scratch.clean()
    fault = await anomaly.in_eitherdb(backend)
    return ("possible", fault) if fault else ("prevented", anomaly.seen)


async def _catch_errors(trial: Coroutine[Any, Any, TrialResult]) -> TrialResult:
    try:
        return await trial
    except Exception as exc:  # noqa: BLE001 - any error of a driver or a backend fails the trial
        return "failed", f"the trial ended with {type(exc).__name__}: {exc}"


async def measure(scratch: Scratch, backend: Backend) -> list[Finding]:
    """Try each anomaly on an empty, migrated scratch database and a backend that is open on it."""
    found = []
    for anomaly in ANOMALIES:
        in_transactions: TrialResult = None, NO_TRANSACTION
        if Capability.TRANSACTIONS in backend.capabilities:
            in_transactions = await _catch_errors(try_schedule(scratch, anomaly.schedule))
        if anomaly.needs is None or anomaly.needs in backend.capabilities:
            in_eitherdb = await _catch_errors(_try_methods(scratch, backend, anomaly))
        else:
            in_eitherdb = None, f"refused: the capability {anomaly.needs} is absent"
        found.append(Finding(anomaly.name, anomaly.means, *in_transactions, *in_eitherdb))
    await scratch.clean()
    return found
