"""`eitherdb check --rows`: read every row, show progress, and name the rows that the API can't serve."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from backends.rows import shown
from cli.progress import progress

if TYPE_CHECKING:
    from backends.models import Page
    from backends.models.resources import Resource
    from backends.protocols import Backend
    from backends.rows.ledger import Fault
    from backends.rows.walk import RowReport

SHOWN_FAULTS = 20
"""The number of faults that are named per kind of row; all are counted."""

SECRET_FIELDS = {"hashed_password", "fingerprint", "outcome"}
"""Fields whose values are never shown."""


async def walk_rows(backend: Backend, resources: Sequence[type[Resource]]) -> RowReport:
    """Read all rows, with a progress bar if standard error is a terminal."""
    from backends.rows.walk import RowWalk

    total = await _estimate(backend)
    with progress(total) as on_progress:
        walk = RowWalk(backend, resources=resources, limit=SHOWN_FAULTS, on_progress=on_progress)
        return await walk.run()


async def _estimate(backend: Backend) -> int:
    """Estimate the number of reads from the counts of the lists; some rows are read more than once."""
    reads: list[tuple[Callable[..., Awaitable[Page[Any]]], int]] = [
        (backend.users.list, 2),
        (backend.accounts.list, 1),
        (backend.accounts.transfers, 4),
        *((each.list, 1 + len(each.spec.unique)) for each in backend.resources.values()),
    ]
    return sum([((await count(limit=0)).count or 0) * times for count, times in reads])


def as_json(report: RowReport) -> dict[str, Any]:
    """Return the report as JSON types."""
    return {
        "rows": report.rows,
        "faulty": report.faulty,
        "faults": [
            {
                "kind": fault.kind,
                "id": fault.id,
                "field": fault.problem.field,
                "problem": fault.problem.what,
                "value": value_of(fault),
            }
            for fault in report.faults
        ],
    }


def as_text(report: RowReport) -> Iterator[str]:
    """Yield one line per named fault, and per kind of row one with the number of the others."""
    for kind, faulty in report.faulty.items():
        for fault in report.faults:
            if fault.kind == kind:
                value = value_of(fault)
                yield f"{fault.kind} {fault.id}: {fault.problem}" + (f" ({value})" if value else "")
        if faulty > report.limit:
            yield f"{kind}: {faulty - report.limit:,} more"


def summary(report: RowReport) -> str:
    """Return the number of rows, and of faulty rows by kind."""
    rows = sum(report.rows.values())
    faulty = {kind: count for kind, count in report.faulty.items() if count}
    if not faulty:
        return f"{rows:,} rows, all of which can be served"
    return f"{rows:,} rows; faults: " + ", ".join(f"{count:,} in {kind}" for kind, count in faulty.items())


def value_of(fault: Fault) -> str | None:
    """Return the field's value, shortened; None if it is missing or must not be shown."""
    field_is_secret = fault.problem.field in SECRET_FIELDS
    return None if fault.value is None or field_is_secret else shown(fault.value, length=40)
