"""Fixtures for all tests: a backend that is open, empty and watched for leaks."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta

import pytest

from backends.protocols import Backend
from tests.provision import Provision, Servers, all_provisions

BACKEND_NAMES = [provision.name for provision in all_provisions(Servers())]
MIGRATED_NAMES = [name for name in BACKEND_NAMES if name != "mongomock"]
# What stands on the repositories is tested on one driver a database. Tests with the one mark run on all, as
# the contract suite does, which proves the drivers alike and what a server without transactions refuses;
# those with the other on the first that is selected, because their calls are refused by HTTP's own rules,
# before anything but the caller is looked up.
ONE_DRIVER_NAMES = [name for name in MIGRATED_NAMES if name != "mongo-pymongo"]
ON_ONE_DRIVER = (
    *("tests/api/", "tests/cli/", "tests/clients/", "tests/fuzz/", "tests/migrations/", "tests/proof/"),
)
EVERY_BACKEND = pytest.mark.every_backend
ONE_BACKEND = pytest.mark.one_backend


def pytest_addoption(parser: pytest.Parser) -> None:
    """Let a developer run on some backends only; CI runs on all."""
    parser.addoption("--backends", default=",".join(BACKEND_NAMES), help="Comma-separated; default: all.")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run each test that asks for a provision once a selected backend."""
    selected = metafunc.config.getoption("--backends").split(",")
    if unknown := set(selected) - set(BACKEND_NAMES):
        raise pytest.UsageError(f"--backends: {unknown} unknown; choose of {BACKEND_NAMES}")
    for fixture, names in (("provision", BACKEND_NAMES), ("migrated", MIGRATED_NAMES)):
        if fixture in metafunc.fixturenames:
            chosen = on_its_drivers(metafunc, [name for name in names if name in selected])
            if metafunc.definition.get_closest_marker("one_backend"):
                chosen = chosen[:1]
            metafunc.parametrize(fixture, chosen, indirect=True, scope="session")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the loads, which take a minute or two each: the other workers do the rest meanwhile."""
    items.sort(key=lambda item: not item.nodeid.startswith("tests/proof/test_load"))


def on_its_drivers(metafunc: pytest.Metafunc, names: list[str]) -> list[str]:
    """Return those of the backends that the test runs on: one driver a database, or all."""
    on_one = metafunc.definition.nodeid.startswith(ON_ONE_DRIVER)
    if not on_one or metafunc.definition.get_closest_marker("every_backend"):
        return names
    return [name for name in names if name in ONE_DRIVER_NAMES]


def find_provision(name: str, servers: Servers) -> Provision:
    """Return the provision of this name."""
    return next(provision for provision in all_provisions(servers) if provision.name == name)


@pytest.fixture(scope="session")
def servers() -> Iterator[Servers]:
    """Return the real servers, which end with the test process."""
    servers = Servers()
    yield servers
    servers.stop()


@pytest.fixture(scope="session")
async def provision(request: pytest.FixtureRequest, servers: Servers) -> AsyncIterator[Provision]:
    """Return one backend's migrated database, ready to be opened."""
    provision = find_provision(request.param, servers)
    await provision.start()
    yield provision
    await provision.stop()


@pytest.fixture(scope="session")
async def migrated(request: pytest.FixtureRequest, servers: Servers) -> AsyncIterator[Provision]:
    """Return the same, of the backends whose schema comes from migrations: all but the mock."""
    provision = find_provision(request.param, servers)
    await provision.start()
    yield provision
    await provision.stop()


class ManualClock:
    """Time that passes by a millisecond a look, or stands still: tests decide."""

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Set it to where every test begins."""
        self.now = datetime(2026, 11, 22, 16, 25, 25, 123_000, tzinfo=UTC)
        self.step = timedelta(milliseconds=1)

    def __call__(self) -> datetime:
        """Return the time and let the step pass."""
        now = self.now
        self.now += self.step
        return now

    def pass_by(self, *, seconds: float) -> None:
        """Let this much time pass."""
        self.now += timedelta(seconds=seconds)

    def stop(self) -> None:
        """From now on it is always the same time."""
        self.step = timedelta(0)


@pytest.fixture(scope="session")
async def shared(provision: Provision) -> AsyncIterator[tuple[Backend, ManualClock]]:
    """Return the backend that the tests of one provision share, and the clock it was opened with."""
    clock = ManualClock()
    backend = await provision.open(clock=clock)
    yield backend, clock
    await backend.close()


@pytest.fixture
def clock(shared: tuple[Backend, ManualClock]) -> ManualClock:
    """Return the clock that `backend` was opened with, set back."""
    _, clock = shared
    clock.reset()
    return clock


@pytest.fixture
async def backend(
    provision: Provision,
    shared: tuple[Backend, ManualClock],
    clock: ManualClock,  # noqa: ARG001 - sets it back
) -> AsyncIterator[Backend]:
    """Return an open backend without a row in it; afterwards no connection may be in use."""
    await provision.clean()
    backend, _ = shared
    yield backend
    assert backend.connections_in_use == 0, "the test left a connection checked out"
