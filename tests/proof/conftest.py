"""Runs one load test at a time: two would compete for the CPUs."""

from __future__ import annotations

import fcntl
from collections.abc import Iterator

import pytest

from eitherdb_contract.selection import run_on_backends

# Each database once. On MongoDB one driver has the crashes, the other the election and the plain load.
CHOICES = {
    "loaded": ("sqlite", "postgres", "mongo-pymongo"),
    "crashing": ("sqlite", "postgres", "mongo-motor"),
    "electing": ("mongo-pymongo",),
}


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Parametrize each test by its selected backends."""
    for argument, names in CHOICES.items():
        if argument in metafunc.fixturenames:
            run_on_backends(metafunc, argument, names, indirect=False)


@pytest.fixture
def machine(tmp_path_factory: pytest.TempPathFactory, testrun_uid: str) -> Iterator[None]:
    """Hold a file lock, so that no other load test of this run executes at the same time."""
    # The parent folder is shared by all xdist workers.
    lock = tmp_path_factory.getbasetemp().parent / f"machine-{testrun_uid}.lock"
    with lock.open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        yield
