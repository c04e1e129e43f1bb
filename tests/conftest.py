"""The backends of this project for `eitherdb_contract`, and what runs on which."""

from __future__ import annotations

import shutil
import signal
from collections.abc import AsyncIterator, Container, Iterable

import pytest

from eitherdb_contract.selection import run_on_backends, selected_backends
from tests import pgbouncer
from tests.blocking import BlockingProvision
from tests.provision import Provision, Servers, all_provisions

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # A shell starts background jobs like this, and the programs of the tests, which get SIGINT, inherit it.
    signal.signal(signal.SIGINT, signal.default_int_handler)

BACKEND_NAMES = [provision.name for provision in all_provisions(Servers())]
MIGRATED_NAMES = [name for name in BACKEND_NAMES if name != "mongomock"]
# What stands on the repositories is tested on one driver a database. Tests with the one mark run on all, as
# the contract suite does, which proves what a server without transactions refuses; those with the other on
# the first that is selected, because their calls are refused by HTTP's own rules, before anything but the
# caller is looked up.
SECOND_DRIVER, FIRST_DRIVER = "mongo-pymongo", "mongo-motor"
ONE_DRIVER_NAMES = [name for name in MIGRATED_NAMES if name != SECOND_DRIVER]
BLOCKING_NAMES = [f"blocking-{name}" for name in MIGRATED_NAMES]
ON_ONE_DRIVER = (
    *("tests/api/", "tests/cli/", "tests/clients/", "tests/fuzz/", "tests/migrations/", "tests/proof/"),
)
# Both drivers of MongoDB run the same repositories, BSON codec and error classes. What differs is how they
# wait, pool connections, hold transactions and read cursors (`backends/mongo/driver`). In a run with both,
# these files prove that on the second one, and the stateful tests every operation. A run without the first
# one has all tests on the second: `--backends mongo-pymongo`.
BOUNDED = ("tests/contract/", "tests/backends/", "tests/api/")
_CONTRACT = (
    "bulk",
    "connections",
    "idempotency_races",
    "integrity",
    "items",
    "races",
    "search",
    "server",
    "stateful",
    "statement",
    "stored_rows",
    "text",
    "time",
    "transfer_races",
    "transfers",
    "users",
)
_BACKENDS = (
    "abandoned",
    "connection_limits",
    "documents",
    "ledger_faults",
    "lost_responses",
    "outage",
    "transactions",
)
ON_BOTH_DRIVERS = (
    *(f"tests/contract/test_{name}.py" for name in _CONTRACT),
    *(f"tests/backends/test_{name}.py" for name in _BACKENDS),
    "tests/api/test_transcript.py",
)
EVERY_BACKEND = pytest.mark.every_backend
ONE_BACKEND = pytest.mark.one_backend

BLOCKING_SAMPLE = {
    "test_accounts.py",
    "test_connections.py",
    "test_resource_graph.py",
    "test_statement.py",
    "test_transfers.py",
    "test_users.py",
}
"""The files of the contract that also run through `open_blocking` on the first backend, in every run.

`tests/backends/test_blocking.py` calls every method through it, on every backend.
"""

PROGRAMS = {"faketime": shutil.which("faketime"), "pgbouncer": pgbouncer.PROGRAM}
"""Programs that no wheel has, by the marker of the tests that need them."""

SERVERS = Servers()


def pytest_contract_provisions() -> list[Provision]:
    """Give the plugin a provision of every backend."""
    provisions = all_provisions(SERVERS)
    return [*provisions, *(BlockingProvision(each) for each in provisions if each.name in MIGRATED_NAMES)]


def pytest_sessionfinish() -> None:
    """Stop the servers, after the fixtures that worked on them."""
    SERVERS.stop()


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run each test that asks for a provision once a selected backend that it runs on."""
    for fixture, left_out in (("provision", {}), ("migrated", {"mongomock": "has no migrations"})):
        if fixture in metafunc.fixturenames:
            reasons = not_on_its_drivers(metafunc, BACKEND_NAMES) | left_out
            if metafunc.function.__name__ == "test_unique_group_is_unique_and_named":
                reasons |= {"mongomock": "its partial indexes refuse changes that MongoDB accepts"}
            reasons |= beyond_one_backend(metafunc, reasons)
            names = BACKEND_NAMES
            if metafunc.definition.nodeid.startswith("tests/contract/"):
                names = [*BACKEND_NAMES, *BLOCKING_NAMES]
                reasons |= beyond_blocking_sample(metafunc)
            run_on_backends(metafunc, fixture, names, left_out=reasons)


def beyond_blocking_sample(metafunc: pytest.Metafunc) -> dict[str, str]:
    """Return the backends behind `open_blocking` that a test of the contract does not run on.

    Without another backend in the run, every test runs on them.
    """
    if not set(selected_backends(metafunc.config)) & set(BACKEND_NAMES):
        return {}
    in_sample = metafunc.definition.path.name in BLOCKING_SAMPLE
    left_out = BLOCKING_NAMES[1:] if in_sample else BLOCKING_NAMES
    return dict.fromkeys(left_out, "`make proof-blocking` runs it through open_blocking")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out tests whose program is missing, and start with the load tests, which take longest."""
    missing = [marker for marker, path in PROGRAMS.items() if path is None]
    left_out = [item for item in items if any(map(item.get_closest_marker, missing))]
    if left_out:
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if item not in left_out]
    items.sort(key=lambda item: not item.nodeid.startswith("tests/proof/test_load"))


def beyond_one_backend(metafunc: pytest.Metafunc, reasons: Container[str]) -> dict[str, str]:
    """Return the backends that a test with `ONE_BACKEND` does not run on, besides those in `reasons`."""
    if not metafunc.definition.get_closest_marker("one_backend"):
        return {}
    chosen = [name for name in selected_backends(metafunc.config) if name not in reasons]
    return dict.fromkeys(chosen[1:], "one backend is enough, whichever")


def not_on_its_drivers(metafunc: pytest.Metafunc, names: Iterable[str]) -> dict[str, str]:
    """Return the backends that the test does not run on because of their drivers, and why."""
    test = metafunc.definition.nodeid
    if test.startswith(ON_ONE_DRIVER) and not metafunc.definition.get_closest_marker("every_backend"):
        left_out = set(names).difference(ONE_DRIVER_NAMES)
        return dict.fromkeys(sorted(left_out), "stands on the repositories: one driver a database")
    if (
        test.startswith(BOUNDED)
        and not test.startswith(ON_BOTH_DRIVERS)
        and FIRST_DRIVER in selected_backends(metafunc.config)
        and SECOND_DRIVER in names
    ):
        return {SECOND_DRIVER: "does not depend on MongoDB's driver"}
    return {}


def find_provision(name: str, servers: Servers) -> Provision:
    """Return the provision of this name."""
    return next(provision for provision in all_provisions(servers) if provision.name == name)


@pytest.fixture(scope="session")
def servers() -> Servers:
    """Return the real servers, which end with the test process."""
    return SERVERS


@pytest.fixture(scope="session")
async def migrated(request: pytest.FixtureRequest, servers: Servers) -> AsyncIterator[Provision]:
    """Return the same of the backends whose schema comes from migrations: all but the mock."""
    provision = find_provision(request.param, servers)
    await provision.start()
    yield provision
    await provision.stop()
