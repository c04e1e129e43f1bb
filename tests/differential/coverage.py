"""The coverage of histories: statuses and codes per operation, and documented outcomes without a call."""

from __future__ import annotations

from collections import defaultdict

from tests.differential.model.calls import OPERATIONS
from tests.differential.systems import Systems


def report_of(systems: Systems) -> str:
    """Return the lines of the report."""
    reached: dict[str, dict[tuple[int, str], int]] = defaultdict(dict)
    for (operation, status, code), times in systems.coverage.items():
        reached[operation][status, code] = times
    names = ", ".join(systems.services)
    lines = [f"{systems.coverage.total()} calls to each of {names}; {systems.comparisons} comparisons"]
    missed = []
    for operation in sorted(reached.keys() | OPERATIONS.keys()):
        outcomes = sorted(reached[operation].items())
        shown = ", ".join(f"{status} {code}".strip() + f" x{times}" for (status, code), times in outcomes)
        lines.append(f"{operation}: {shown}")
        documented = OPERATIONS[operation].outcomes if operation in OPERATIONS else frozenset()
        missed += [(operation, *outcome) for outcome in sorted(documented - reached[operation].keys())]
    count = sum(len(operation.outcomes) for operation in OPERATIONS.values())
    lines.append(f"documented outcomes never reached, {len(missed)} of {count}:")
    by_outcome: dict[tuple[int, str], list[str]] = defaultdict(list)
    for operation, status, code in missed:
        by_outcome[status, code].append(operation)
    for (status, code), operations in sorted(by_outcome.items()):
        everywhere = "every operation" if len(operations) == len(OPERATIONS) else ", ".join(operations)
        lines.append(f"  {status} {code}: {everywhere}")
    return "\n".join(lines)
