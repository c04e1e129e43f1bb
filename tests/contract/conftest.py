"""Fixtures of the contract tests: several backends on one database, predefined ids, users and lists."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable
from typing import Protocol

import pytest

from backends.capabilities import Capability
from backends.ids import Clock, IdSource, new_id, utc_now
from backends.models import Item, User
from backends.protocols import Backend
from config import Settings
from eitherdb_contract.clock import ManualClock
from eitherdb_contract.declared import DeclaredBackends
from eitherdb_contract.provision import Provision

from .expectations import refused_without
from .list_kinds import KINDS, StoredList
from .money import money
from .resource_rows import Rows
from .samples import UNKNOWN_ID, new_user
from .subjects import Subject, subjects_of, together


class ManualIds:
    """An id source that returns the ids in `upcoming` first, then new ones."""

    def __init__(self) -> None:
        self.upcoming: list[str] = []

    def __call__(self) -> str:
        """Return the next id."""
        return self.upcoming.pop(0) if self.upcoming else new_id()


class Opener(Protocol):
    """The type of the fixture `open_another`."""

    def __call__(
        self, settings: Settings | None = None, *, clock: Clock = utc_now, id_source: IdSource = new_id
    ) -> Awaitable[Backend]:
        """Open another backend on the database of `backend`; the fixture closes it."""
        ...


@pytest.fixture
async def open_another(provision: Provision, backend: Backend) -> AsyncIterator[Opener]:
    """Return a function that opens more backends on the database of `backend`.

    The database is empty at first.
    """
    opened: list[Backend] = []

    async def open_another(
        settings: Settings | None = None, *, clock: Clock = utc_now, id_source: IdSource = new_id
    ) -> Backend:
        opened.append(await provision.open(settings, clock=clock, id_source=id_source))
        return opened[-1]

    yield open_another
    for another in opened:
        assert another.connections_in_use == 0, "the test left a connection checked out"
        await another.close()
    assert backend.connections_in_use == 0, "the test left a connection checked out"


@pytest.fixture(scope="session")
async def shared_with_ids(
    provision: Provision, shared: tuple[Backend, ManualClock]
) -> AsyncIterator[tuple[Backend, ManualIds]]:
    """Return a second backend that all tests of one provision share, and its id source."""
    _, clock = shared
    ids = ManualIds()
    backend = await provision.open(clock=clock, id_source=ids)
    yield backend, ids
    await backend.close()


@pytest.fixture
def ids(shared_with_ids: tuple[Backend, ManualIds]) -> ManualIds:
    """Return the id source of `given_ids`, with no predefined id."""
    _, ids = shared_with_ids
    ids.upcoming = []
    return ids


@pytest.fixture
async def given_ids(
    shared_with_ids: tuple[Backend, ManualIds],
    backend: Backend,  # noqa: ARG001 - empties the database
    ids: ManualIds,  # noqa: ARG001 - empties it
) -> AsyncIterator[Backend]:
    """Return a backend on the same database that takes its ids from `ids` and its time from `clock`."""
    given_ids, _ = shared_with_ids
    yield given_ids
    assert given_ids.connections_in_use == 0, "the test left a connection checked out"


@pytest.fixture
async def owner(backend: Backend) -> User:
    """Return a user who owns the rows of a test."""
    return await backend.users.add(new_user())


@pytest.fixture
async def other_user(backend: Backend) -> User:
    """Return a second user, who owns no row of the test."""
    return await backend.users.add(new_user(1))


@pytest.fixture(params=KINDS)
async def stored_list(request: pytest.FixtureRequest, given_ids: Backend, backend: Backend) -> StoredList:
    """Return each kind of list, empty.

    Its rows get their ids from `ids` and their times from `clock`. Without transactions the ledger refuses
    entries, so the list of accounts replaces the list of entries.
    """
    kind = request.param
    users = [] if kind == "users" else [await backend.users.add(new_user(n)) for n in (-1, -2)]
    if kind == "transfers of an owner" and Capability.TRANSACTIONS not in backend.capabilities:
        with refused_without(backend, Capability.TRANSACTIONS, "accounts.deposit"):
            await backend.accounts.deposit(UNKNOWN_ID, money(1), ordered_by=users[0].id)
        kind = "accounts of an owner"
    return StoredList(given_ids, kind, elsewhere=backend, users=users)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run each test of any resource on each of them, the user's own included."""
    if "subject" in metafunc.fixturenames:
        subjects = subjects_of(metafunc.config.hook.pytest_contract_resources() or ())
        metafunc.parametrize("subject", subjects, ids=lambda subject: subject.name)


@pytest.fixture
async def rows(declared_backends: DeclaredBackends, subject: Subject) -> AsyncIterator[Rows]:
    """Return what adds rows of the subject and of those that are declared with it. There are none yet."""
    backend = await declared_backends.open(subject.together)
    yield Rows(backend, (Item, *subject.together))
    assert backend.connections_in_use == 0, "the test left a connection checked out"


@pytest.fixture
async def library(declared_backends: DeclaredBackends) -> AsyncIterator[Backend]:
    """Return a backend with the resources of `declared`, without rows."""
    library = await declared_backends.open(together())
    yield library
    assert library.connections_in_use == 0, "the test left a connection checked out"


@pytest.fixture
async def member(library: Backend) -> User:
    """Return a user of `library`, who owns the rows of a test."""
    return await library.users.add(new_user())
