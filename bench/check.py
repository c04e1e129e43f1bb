"""`make bench-check`: fails if a ratio to the baseline is worse than in the committed `reference.json`.

The ratio is of CPU time for a request, not of requests a second: it moves little where a machine has other
work. Rows are few, because no cost grows with them (`make bench-growth`). What seems worse is measured once
more, longer. With UPDATE=1 in the environment the reference is written.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from bench.blocking import blocking_ratios
from bench.contenders import baselines, product
from bench.data import Data
from bench.databases import TITLES, running
from bench.machine import run
from bench.results import Result, table, worsened
from bench.rounds import all_serving, check_answers, in_turns, requests_for

REFERENCE = Path(__file__).with_name("reference.json")
WORKLOADS = ("read", "list", "create", "read10", "list10", "create10", "transfer")
ROUNDS = 16
SECONDS = 0.12
USERS, ITEMS = 2_000, 10_000


def main(core: int, _: int) -> None:
    """Measure and compare; exit with 1 if a ratio got worse."""
    update = os.environ.get("UPDATE") == "1"
    reference: dict[str, float] = {} if update else json.loads(REFERENCE.read_text())
    data = Data.of(users=USERS, items=ITEMS)
    measured: dict[str, float] = {}
    with tempfile.TemporaryDirectory(prefix="edb-") as folder:
        for name in TITLES:
            measured |= ratios_on(name, data, Path(folder), core, reference)
    if update:
        REFERENCE.write_text(
            json.dumps({name: round(ratio, 3) for name, ratio in measured.items()}, indent=1) + "\n"
        )
        return
    worse = worsened(measured, reference)
    worse += [name for name in reference if name not in measured]
    rows = [
        [name, f"{reference[name]:.2f}", f"{ratio:.2f}", "WORSE" if name in worse else "ok"]
        for name, ratio in measured.items()
    ]
    print(table(("the baseline's CPU time / EitherDB's", "reference", "measured", ""), rows))
    if worse:
        sys.exit(f"Worse than the reference: {', '.join(worse)}")


def ratios_on(
    database_name: str, data: Data, folder: Path, core: int, reference: Mapping[str, float]
) -> dict[str, float]:
    """Return the ratios on a database by name. A worse ratio is measured twice; the better counts."""
    drivers = ("pymongo", "motor") if database_name == "mongo" else ("",)
    contenders = [*(product(database_name, driver) for driver in drivers), baselines(database_name)[0]]
    with (
        running(database_name, data) as database,
        all_serving(contenders, database, folder, core) as servers,
    ):
        requests = requests_for(database, WORKLOADS)
        check_answers(servers, requests)
        rounds = ROUNDS if reference else 2 * ROUNDS
        ratios = _named(in_turns(servers, database, requests, rounds=rounds, seconds=SECONDS))
        if database_name == "sqlite":  # where a call costs least, so that what is added to it shows most
            ratios |= blocking_ratios(database, rounds=rounds)
        suspects = worsened(ratios, reference) if reference else []
        served = [each for each in suspects if "blocking" not in each]
        again = {
            name: some for name, some in requests.items() if any(each.endswith(name) for each in served)
        }
        if suspects:
            print(f"Once more: {', '.join(suspects)}")
        if any("blocking" in each for each in suspects):
            for name, ratio in blocking_ratios(database, rounds=2 * ROUNDS).items():
                ratios[name] = max(ratio, ratios[name])
        if again:
            for name, ratio in _named(
                in_turns(servers, database, again, rounds=2 * ROUNDS, seconds=SECONDS)
            ).items():
                ratios[name] = max(ratio, ratios[name])
    return ratios


def _named(results: Sequence[Result]) -> dict[str, float]:
    return {
        f"{TITLES[result.database]}: {result.contender}, {result.workload}": result.cpu_ratio
        for result in results
        if result.contender.startswith("EitherDB")
    }


if __name__ == "__main__":
    run(main)
