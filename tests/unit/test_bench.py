"""The evaluation of benchmark results."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import replace
from itertools import pairwise
from xml.etree import ElementTree as ET

import pytest

from bench.chart import chart
from bench.data import ITEMS_OF_AN_OWNER, Data
from bench.load import Load
from bench.results import Result, Sample, Target, compare, median, table, worsened
from bench.workloads import TITLES

SAMPLE = Sample(
    per_second=100, p50_ms=1, p99_ms=2, max_ms=3, cpu_ms=0.5, database_cpu_ms=0.1, load_cpu_ms=0.05
)


def rounds(**figures: list[float]) -> list[Sample]:
    """Make samples that differ in these figures."""
    return [
        replace(SAMPLE, **dict(zip(figures, values, strict=True)))
        for values in zip(*figures.values(), strict=True)
    ]


@pytest.mark.parametrize(("percent", "milliseconds"), [(0, 1), (50, 51), (99, 100), (100, 100)])
def test_percentile_is_what_so_many_took_at_most(percent: float, milliseconds: float) -> None:
    """Of a hundred answers that took 1 to 100 ms."""
    found = Load(seconds=1, milliseconds=[float(number) for number in range(1, 101)], used=[])
    assert found.percentile(percent) == milliseconds


def test_median_is_of_each_figure_by_itself() -> None:
    """The round with the median throughput need not be the one with the median p99."""
    found = median(rounds(per_second=[100, 900, 200], p99_ms=[9, 1, 8]))
    assert (found.per_second, found.p99_ms, found.cpu_ms) == (200, 8, 0.5)


def test_ratios_are_of_the_same_round() -> None:
    """A round in which the machine is slow for both changes no ratio: the medians' ratio would be 0.4."""
    samples = {
        "EitherDB": rounds(per_second=[50, 5, 20], cpu_ms=[1, 10, 4]),
        "baseline": rounds(per_second=[100, 10, 50], cpu_ms=[0.5, 5, 1]),
    }
    ours, baseline = compare("sqlite", "read", samples, baseline="baseline")
    assert (ours.contender, ours.ratio, ours.cpu_ratio) == ("EitherDB", 0.5, 0.5)
    assert (baseline.contender, baseline.ratio, baseline.cpu_ratio) == ("baseline", 1, 1)


@pytest.mark.parametrize(
    ("measured", "at_least", "met"),
    [(0.6, True, True), (0.59, True, False), (0.6, False, True), (0.61, False, False)],
)
def test_target_is_met_at_its_bound(measured: float, at_least: bool, met: bool) -> None:  # noqa: FBT001 - a parameter
    """And not beyond it, in either direction."""
    target = Target("read, ratio", 0.6, measured, at_least=at_least)
    assert target.met is met
    assert target.row()[-1] == ("yes" if met else "NO")


def test_fifteen_per_cent_worse_is_tolerated_and_more_is_not() -> None:
    """Better is never a fault."""
    reference = {"read": 0.60, "list": 0.60, "create": 0.60}
    assert worsened({"read": 0.511, "list": 0.509, "create": 0.9}, reference) == ["list"]


def test_what_has_no_reference_is_no_success() -> None:
    """A workload that was added needs one."""
    with pytest.raises(KeyError, match="transfer"):
        worsened({"transfer": 1.0}, {"read": 0.6})


def test_table_aligns_figures_at_the_right() -> None:
    """Words on the left."""
    assert table(("", "req/s"), [("a", "10"), ("bcd", "2,000")]) == "     req/s\na       10\nbcd  2,000"


def test_chart_has_a_bar_for_each_ratio_but_the_floors() -> None:
    """And says each as a number."""
    contenders = {"EitherDB": 0.7, "Starlette, raw driver": 1.0, "FastAPI, raw driver": 0.4}
    results = [
        Result("sqlite", workload, name, SAMPLE, ratio, ratio)
        for workload in ("hello", "read", "list")
        for name, ratio in contenders.items()
    ]
    drawn = ET.fromstring(chart(results, {"sqlite": "SQLite"}, "a < b"))  # noqa: S314 - of our own making
    words = [element.text for element in drawn.iter("{http://www.w3.org/2000/svg}text")]
    bars = [element for element in drawn.iter("{http://www.w3.org/2000/svg}rect") if element.get("x")]
    assert len(bars) == 4
    assert (words.count("0.70"), words.count("0.40"), words.count("1.00")) == (2, 2, 1)
    assert float(bars[0].get("width", 0)) / float(bars[1].get("width", 0)) == pytest.approx(
        0.7 / 0.4, rel=0.01
    )
    assert words[-1] == "a < b"


def test_chart_has_no_text_on_another_and_its_line_behind_the_bars() -> None:
    """With the longest names that there are, and a bar that has no room for its figure."""
    ratios = {"EitherDB, pymongo": 0.97, "EitherDB, motor": 2.8, "FastAPI, raw driver": 0.05}
    results = [
        Result("mongo", workload, name, SAMPLE, ratio, ratio)
        for workload in TITLES
        for name, ratio in ratios.items()
    ]
    drawn = list(ET.fromstring(chart(results, {"mongo": "MongoDB"}, "")).iter())  # noqa: S314 - our own
    spans: dict[str | None, list[tuple[float, float]]] = defaultdict(list)
    for element in (each for each in drawn if each.tag.endswith("text")):
        width = len(element.text or "") * 0.6 * (11 if element.get("class") in {"s", "v", "d", "b"} else 13)
        left = float(element.get("x", 0)) - {"middle": width / 2, "end": width}.get(
            element.get("text-anchor", ""), 0
        )
        spans[element.get("y")].append((left, left + width))
    assert max(map(len, spans.values())) == 3
    for of_line in map(sorted, spans.values()):
        assert all(right < left for (_, right), (left, _) in pairwise(of_line))
    places = [
        next(place for place, each in enumerate(drawn) if each.tag.endswith(tag) and each.get(attribute))
        for tag, attribute in (("line", "x1"), ("rect", "x"))
    ]
    assert places == sorted(places)


def test_owners_have_five_pages_of_items_each_and_others_none() -> None:
    """Lists would grow while items are created otherwise."""
    data = Data.of(users=12, items=5_000)
    owners = [row["owner_id"] for row in data.item_rows()]
    assert set(Counter(owners).values()) == {ITEMS_OF_AN_OWNER}
    assert set(owners) == set(data.users[:10])
    with pytest.raises(ValueError, match="without items"):
        Data.of(users=10, items=5_000)
