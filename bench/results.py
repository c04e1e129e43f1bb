"""What measurements say: medians, ratios to the baselines, and how they compare with what was promised."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields

TOLERATED = 0.15
"""By how much a ratio may get worse than the reference."""


@dataclass(frozen=True)
class Sample:
    """What one measurement found.

    Attributes:
        per_second: Answered requests.
        p50_ms: What half of them took at most; `p99_ms` and `max_ms` likewise.
        cpu_ms: CPU time of the server for one request; of the database and of the load likewise.
    """

    per_second: float
    p50_ms: float
    p99_ms: float
    max_ms: float
    cpu_ms: float
    database_cpu_ms: float
    load_cpu_ms: float


def median(samples: Sequence[Sample]) -> Sample:
    """Return the medians, each figure's by itself."""
    rows = [asdict(sample) for sample in samples]
    return Sample(
        **{each.name: statistics.median(row[each.name] for row in rows) for each in fields(Sample)}
    )


@dataclass(frozen=True)
class Result:
    """What a contender does on a workload, next to the baseline of the same rounds.

    Attributes:
        ratio: Requests a second, as a part of the baseline's.
        cpu_ratio: The baseline's CPU time for a request, as a part of this one's.
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
    """Return the medians of all contenders' rounds, and their ratios.

    A ratio is the median of the rounds' ratios: what disturbs a round disturbs both. Of sixteen short
    rounds, next to seven other busy processes, it scatters by 5 %.

    Args:
        database: On what.
        workload: With what.
        samples: Of each contender, one a round.
        baseline: The contender that the ratios are to.
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
    """Something promised, and what was measured.

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
        """Whether the promise is kept."""
        return self.measured >= self.target if self.at_least else self.measured <= self.target

    def row(self) -> list[str]:
        """Return the cells of its row: what, target, measured, met."""
        sign = "≥" if self.at_least else "≤"
        shown = [f"{value:.2f}{self.unit}" for value in (self.target, self.measured)]
        return [self.what, f"{sign} {shown[0]}", shown[1], "yes" if self.met else "NO"]


def table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return rows as aligned text; the first column is words, the others are figures."""
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
    """Return the names of the ratios that are worse than the reference by more than is tolerated.

    Raises:
        KeyError: Something was measured that has no reference.
    """
    return [name for name, ratio in measured.items() if ratio < reference[name] * (1 - TOLERATED)]
