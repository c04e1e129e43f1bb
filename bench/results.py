"""Results: medians, ratios to the baselines, and the comparison with the targets."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields

TOLERATED = 0.15
"""How much worse than the reference a ratio may be."""


@dataclass(frozen=True)
class Sample:
    """The figures of one measurement.

    Attributes:
        per_second: Responses per second.
        p50_ms: The median latency; `p99_ms` and `max_ms` likewise.
        cpu_ms: CPU time of the server per request; likewise for the database and the load generator.
    """

    per_second: float
    p50_ms: float
    p99_ms: float
    max_ms: float
    cpu_ms: float
    database_cpu_ms: float
    load_cpu_ms: float


def median(samples: Sequence[Sample]) -> Sample:
    """Return the median of each figure."""
    rows = [asdict(sample) for sample in samples]
    return Sample(
        **{each.name: statistics.median(row[each.name] for row in rows) for each in fields(Sample)}
    )


@dataclass(frozen=True)
class Result:
    """The figures of a contender on a workload, and its ratios to the baseline of the same rounds.

    Attributes:
        ratio: Requests per second relative to the baseline.
        cpu_ratio: The baseline's CPU time per request relative to the contender's.
    """

    database: str
    workload: str
    contender: str
    median: Sample
    ratio: float
    cpu_ratio: float


def compare(
    database: str, workload: str, samples: Mapping[str, Sequence[Sample]], *, baseline: str
) -> list[Result]:
    """Return the medians over the rounds of all contenders, and their ratios.

    A ratio is the median of the rounds' ratios: what disturbs a round disturbs both. Of sixteen short
    rounds, next to seven other busy processes, it scatters by 5 %.

    Args:
        database: The name of the database.
        workload: The name of the workload.
        samples: The samples of each contender, one per round.
        baseline: The contender that the ratios refer to.
    """
    return [
        Result(
            database,
            workload,
            name,
            median(rounds),
            ratio=_ratio(
                rounds, samples[baseline], lambda ours, baseline: ours.per_second / baseline.per_second
            ),
            cpu_ratio=_ratio(
                rounds, samples[baseline], lambda ours, baseline: baseline.cpu_ms / ours.cpu_ms
            ),
        )
        for name, rounds in samples.items()
    ]


def _ratio(
    ours: Sequence[Sample], baselines: Sequence[Sample], of: Callable[[Sample, Sample], float]
) -> float:
    return statistics.median(of(*both) for both in zip(ours, baselines, strict=True))


@dataclass(frozen=True)
class Target:
    """A target and the measured value.

    Attributes:
        at_least: Whether it is a lower bound; else it is an upper one.
    """

    what: str
    target: float
    measured: float
    unit: str = ""
    at_least: bool = False

    @property
    def met(self) -> bool:
        """Whether the target is met."""
        return self.measured >= self.target if self.at_least else self.measured <= self.target

    def row(self) -> list[str]:
        """Return the cells of its row: name, target, measured value, met."""
        sign = "≥" if self.at_least else "≤"
        shown = [f"{value:.2f}{self.unit}" for value in (self.target, self.measured)]
        return [self.what, f"{sign} {shown[0]}", shown[1], "yes" if self.met else "NO"]


def table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Format rows as aligned text: the first column on the left, figures on the right."""
    lines = [list(heads), *map(list, rows)]
    widths = [max(len(line[place]) for line in lines) for place in range(len(heads))]
    return "\n".join(
        "  ".join(
            cell.ljust(width) if place == 0 else cell.rjust(width)
            for place, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in lines
    )


def shown(results: Sequence[Result]) -> str:
    """Return the results of one database as a table."""
    heads = ("", "req/s", "ratio", "p50 ms", "p99 ms", "max ms", "CPU ms", "CPU ratio", "db ms", "load ms")
    rows: list[list[str]] = []
    for result in results:
        found = result.median
        rows.append(
            [
                f"{result.workload:<9} {result.contender}",
                f"{found.per_second:,.0f}",
                f"{result.ratio:.2f}",
                f"{found.p50_ms:.1f}",
                f"{found.p99_ms:.1f}",
                f"{found.max_ms:.1f}",
                f"{found.cpu_ms:.3f}",
                f"{result.cpu_ratio:.2f}",
                f"{found.database_cpu_ms:.3f}",
                f"{found.load_cpu_ms:.3f}",
            ]
        )
    return table(heads, rows)


def worsened(measured: Mapping[str, float], reference: Mapping[str, float]) -> list[str]:
    """Return the names of the ratios that are worse than the reference by more than the tolerance.

    Raises:
        KeyError: Something was measured that has no reference.
    """
    return [name for name, ratio in measured.items() if ratio < reference[name] * (1 - TOLERATED)]
