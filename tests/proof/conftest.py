"""One load at a time: two would only measure each other's hunger for the processors."""

from __future__ import annotations

import fcntl
from collections.abc import Iterator

import pytest

from eitherdb_contract.selection import run_on_backends

# On each database; MongoDB's crashes with one driver, its election and its plain load with the other.
CHOICES = {
    "loaded": ("sqlite", "postgres", "mongo-pymongo"),
    "crashing": ("sqlite", "postgres", "mongo-motor"),
    "electing": ("mongo-pymongo",),
}


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run each test once a selected backend of those that it is about."""
    for argument, names in CHOICES.items():
        if argument in metafunc.fixturenames:
            run_on_backends(metafunc, argument, names, indirect=False)


@pytest.fixture
def machine(tmp_path_factory: pytest.TempPathFactory, testrun_uid: str) -> Iterator[None]:
    """Wait until no other test of this run has the machine; the system frees it whatever happens."""
    # Of all workers: each has a folder of its own in the one above.
    lock = tmp_path_factory.getbasetemp().parent / f"machine-{testrun_uid}.lock"
    with lock.open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        yield
