"""Transactions on items in MongoDB: conflicts, unknown commits, and recovery after a crash."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import pytest
from bson import ObjectId

from backends import open_backend
from backends.capabilities import Capability
from backends.errors import Conflict, ConnectionLost, NotFound, NotSupported, Unavailable
from backends.models import Item, NewItem, NewUser, User
from backends.protocols import Backend
from cli.local_servers import LocalServer, start_mongo
from config import MongoDriver
from migrations import open_migrator
from tests.backends.raw import MongoDatabase, failing_commands, mongo_database, opened
from tests.backends.record import Command, names, recorded
from tests.provision import Provision, make_settings

TRIES = 5
"""The maximum number of attempts, as `docs/semantics.md` promises."""


@dataclass
class Scenario:
    """Two users with an item each, one of whom is to be deleted, and the commands that are sent."""

    backend: Backend
    database: MongoDatabase
    commands: list[Command]
    user: User
    other: User
    items: list[Item]

    @property
    def transactions(self) -> int:
        """The number of transactions."""
        return sum(1 for command in self.commands if command.get("startTransaction"))

    @property
    def commits(self) -> int:
        """The number of commits sent."""
        return names(self.commands).count("commitTransaction")

    async def is_untouched(self) -> bool:
        """Return whether nothing has changed, as read by another client."""
        users = await self.database.users.count_documents({})
        items = await self.database["items"].count_documents({})
        return (users, items, await self.database.deleted_users.count_documents({})) == (2, 2, 0)

    async def is_deleted_once(self) -> bool:
        """Return whether only the user and its items are gone, and the deletion is recorded."""
        left = [document["_id"] async for document in self.database.users.find()]
        owners = [document["owner_id"] async for document in self.database["items"].find()]
        records = [document["_id"] async for document in self.database.deleted_users.find()]
        other = ObjectId(self.other.id)
        return (left, owners, records) == ([other], [other], [ObjectId(self.user.id)])


@pytest.fixture
async def scenario(mongo: Provision) -> AsyncIterator[Scenario]:
    """Create the scenario. Afterwards no connection is in use and no transaction is open on the server."""
    await mongo.clean()
    async with recorded(mongo) as (backend, commands), mongo_database(mongo.settings) as database:
        user, other = [
            await backend.users.add(NewUser(email=f"{name}@example.com", hashed_password="x"))
            for name in ("user", "other")
        ]
        items = [await backend.items.add(NewItem(title="t"), owner_id=owner.id) for owner in (user, other)]
        commands.clear()
        yield Scenario(backend, database, commands, user, other, items)
        assert backend.connections_in_use == 0
        await database.client.admin.command("killAllSessions", [])


# -- collisions ----------------------------------------------------------------------------------


async def test_delete_without_a_fault_is_one_transaction(scenario: Scenario) -> None:
    """A successful deletion is not retried."""
    await scenario.backend.users.delete(scenario.user.id)
    assert (scenario.transactions, scenario.commits) == (1, 1)
    assert await scenario.is_deleted_once()


@pytest.mark.parametrize("times", [1, TRIES - 1])
@pytest.mark.parametrize("command", ["delete", "insert"])
async def test_delete_that_collides_is_retried(command: str, times: int, scenario: Scenario) -> None:
    """The deletion is retried after a conflict, up to five attempts in all, and is applied once."""
    async with failing_commands(scenario.database, command, times=times, errorCode=112):
        await scenario.backend.users.delete(scenario.user.id)
    assert (scenario.transactions, scenario.commits) == (times + 1, 1)
    assert await scenario.is_deleted_once()


@pytest.mark.parametrize("code", [112, 24, 251])
async def test_delete_that_always_collides_is_given_up(code: int, scenario: Scenario) -> None:
    """After five attempts Conflict is raised and nothing has changed."""
    async with failing_commands(scenario.database, "delete", errorCode=code):
        with pytest.raises(Conflict) as caught:
            await scenario.backend.users.delete(scenario.user.id)
    assert caught.value.__cause__ is not None
    assert (scenario.transactions, scenario.commits) == (TRIES, 0)
    assert await scenario.is_untouched()
    await scenario.backend.users.delete(scenario.user.id)
    assert await scenario.is_deleted_once()


async def test_delete_that_loses_its_connection_is_retried(scenario: Scenario) -> None:
    """Before the commit nothing is applied, so the whole transaction is repeated."""
    async with failing_commands(scenario.database, "delete", times=1, closeConnection=True):
        await scenario.backend.users.delete(scenario.user.id)
    assert (scenario.transactions, scenario.commits) == (2, 1)
    assert await scenario.is_deleted_once()


async def test_delete_that_always_loses_its_connection_is_unavailable(scenario: Scenario) -> None:
    """Unavailable is raised, because the cause was not a conflict."""
    async with failing_commands(scenario.database, "delete", closeConnection=True):
        with pytest.raises(Unavailable) as caught:
            await scenario.backend.users.delete(scenario.user.id)
    assert type(caught.value) is ConnectionLost
    assert await scenario.is_untouched()


async def test_delete_that_fails_otherwise_is_not_retried(scenario: Scenario) -> None:
    """An unknown error is not retried."""
    async with failing_commands(scenario.database, "insert", errorCode=96):
        with pytest.raises(Exception, match="96") as caught:
            await scenario.backend.users.delete(scenario.user.id)
    assert not isinstance(caught.value, Unavailable)
    assert (scenario.transactions, scenario.commits) == (1, 0)
    assert await scenario.is_untouched()


# -- commits whose outcome is unknown --------------------------------------------------------------

UNKNOWN: dict[str, dict[str, Any]] = {
    "out of time before the commit": {"errorCode": 50},
    "connection closed before the commit": {"closeConnection": True},
    "no majority after the commit": {"writeConcernError": {"code": 64, "errmsg": "waiting timed out"}},
}


@pytest.mark.parametrize("times", [1, 3])
@pytest.mark.parametrize("fault", UNKNOWN)
async def test_unknown_commit_is_committed_again(fault: str, times: int, scenario: Scenario) -> None:
    """Only the commit is repeated, in the same transaction, and is applied once."""
    async with failing_commands(scenario.database, "commitTransaction", times=times, **UNKNOWN[fault]):
        await scenario.backend.users.delete(scenario.user.id)
    assert scenario.transactions == 1
    assert scenario.commits == times + 1
    assert await scenario.is_deleted_once()


async def test_commit_that_stays_unknown_is_unavailable(scenario: Scenario) -> None:
    """Unavailable is raised, because Conflict would promise that nothing changed.

    A repetition finds the outcome.
    """
    fault = UNKNOWN["no majority after the commit"]
    async with failing_commands(scenario.database, "commitTransaction", **fault):
        with pytest.raises(Unavailable) as caught:
            await scenario.backend.users.delete(scenario.user.id)
    assert type(caught.value) is Unavailable
    assert scenario.transactions == 1
    assert scenario.commits >= TRIES
    with pytest.raises(NotFound):
        await scenario.backend.users.delete(scenario.user.id)
    assert await scenario.is_deleted_once()


# -- many items at once ----------------------------------------------------------------------------

NEW = [NewItem(title=f"{n}") for n in range(5)]


@pytest.mark.parametrize(
    ("command", "fault", "transactions"),
    [
        ("insert", {"errorCode": 112}, 2),
        ("insert", {"closeConnection": True}, 2),
        *(("commitTransaction", fault, 1) for fault in UNKNOWN.values()),
    ],
)
async def test_add_many_that_is_retried_adds_them_once(
    command: str, fault: dict[str, Any], transactions: int, scenario: Scenario
) -> None:
    """A conflict or lost connection repeats the transaction, an unknown commit only the commit."""
    async with failing_commands(scenario.database, command, times=1, **fault):
        items = await scenario.backend.items.add_many(NEW, owner_id=scenario.user.id)
    assert scenario.transactions == transactions
    mine = (await scenario.backend.items.list(owner_id=scenario.user.id)).data
    assert mine == [*items[::-1], scenario.items[0]]


async def test_add_many_that_always_collides_adds_nothing(scenario: Scenario) -> None:
    """Conflict is raised after five attempts."""
    async with failing_commands(scenario.database, "insert", errorCode=112):
        with pytest.raises(Conflict):
            await scenario.backend.items.add_many(NEW, owner_id=scenario.user.id)
    assert (scenario.transactions, scenario.commits) == (TRIES, 0)
    assert await scenario.is_untouched()


@pytest.mark.parametrize("fault", [{"errorCode": 112}, {"closeConnection": True}])
async def test_add_many_for_unknown_owner_rolls_back(fault: dict[str, Any], scenario: Scenario) -> None:
    """No item stays, also if the first rollback fails. Readers see all items or none."""
    async with failing_commands(scenario.database, "delete", times=1, **fault):
        with pytest.raises(NotFound):
            await scenario.backend.items.add_many(NEW, owner_id=str(ObjectId()))
    assert (scenario.transactions, scenario.commits) == (3, 2)
    assert await scenario.is_untouched()


# -- what a process that dies leaves ---------------------------------------------------------------


async def insert_orphan(scenario: Scenario) -> ObjectId:
    """Store an item of a deleted user, as a concurrent `add` would."""
    item = ObjectId()
    await scenario.database["items"].insert_one(
        {
            "_id": item,
            "title": "orphan",
            "description": None,
            "owner_id": ObjectId(scenario.user.id),
            "created_at": datetime.now(UTC),
            "version": 1,
            "title_folded": "orphan",
            "description_folded": None,
        }
    )
    return item


async def test_check_schema_sweeps_orphans_of_recorded_users(scenario: Scenario) -> None:
    """The next start removes orphans that a crashed process left, and no other item."""
    await scenario.backend.users.delete(scenario.user.id)
    await insert_orphan(scenario)
    assert not await scenario.is_deleted_once()
    await scenario.backend.check_schema()
    assert await scenario.is_deleted_once()


async def test_check_schema_of_a_fresh_database_sweeps_nothing(scenario: Scenario) -> None:
    """Without recorded deletions no delete command is sent."""
    await scenario.backend.check_schema()
    assert "delete" not in names(scenario.commands)
    assert await scenario.is_untouched()


async def test_delete_sweeps_what_was_added_before_the_commit(scenario: Scenario) -> None:
    """The sweep after the transaction removes an item that the snapshot didn't contain."""
    async with failing_commands(
        scenario.database, "commitTransaction", blockConnection=True, blockTimeMS=500
    ):
        deleting = asyncio.create_task(scenario.backend.users.delete(scenario.user.id))
        while "commitTransaction" not in names(scenario.commands):
            assert not deleting.done()
            await asyncio.sleep(0.005)
        await insert_orphan(scenario)
        await deleting
    assert await scenario.is_deleted_once()


async def test_delete_whose_sweep_fails_is_done_and_swept_at_the_next_start(
    scenario: Scenario, caplog: pytest.LogCaptureFixture
) -> None:
    """The user is deleted and a warning names it; the next start removes the orphans."""
    with caplog.at_level(logging.WARNING, logger="backends.mongo.users"):
        async with failing_commands(scenario.database, "delete", skip=3, errorCode=96):
            await scenario.backend.users.delete(scenario.user.id)
    (record,) = caplog.records
    assert record.levelno == logging.WARNING
    assert scenario.user.id in record.getMessage()
    await insert_orphan(scenario)
    await scenario.backend.check_schema()
    assert await scenario.is_deleted_once()


# -- a server without transactions -----------------------------------------------------------------


@pytest.fixture(scope="module")
def standalone(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalServer]:
    """Start a mongod that is not a replica set."""
    with start_mongo(tmp_path_factory.mktemp("standalone"), replica_set=False) as server:
        yield server


@pytest.mark.parametrize("driver", ["motor", "pymongo"])
async def test_standalone_refuses_only_what_needs_a_transaction(
    driver: MongoDriver, standalone: LocalServer
) -> None:
    """The capability is missing.

    Operations that need it are refused and change nothing; all others work.
    """
    settings = make_settings(
        db_backend="mongo", database_url=f"{standalone.url}alone_{driver}", mongo_driver=driver
    )
    await open_migrator(settings).upgrade()
    assert await open_migrator(settings).check() == []
    async with opened(open_backend(settings)) as backend:
        await backend.check_schema()
        assert backend.capabilities == {Capability.SCHEMA_VALIDATION}
        user = await backend.users.add(NewUser(email="a@example.com", hashed_password="x"))
        item = await backend.items.add(NewItem(title="t"), owner_id=user.id)

        with pytest.raises(NotSupported) as caught:
            await backend.users.delete(user.id)
        assert (caught.value.operation, caught.value.capability) == (
            "users.delete",
            Capability.TRANSACTIONS,
        )
        assert Capability.TRANSACTIONS.remedy in str(caught.value)

        with pytest.raises(NotSupported, match=r"items\.add_many"):
            await backend.items.add_many(NEW, owner_id=user.id)

        assert (await backend.users.list()).data == [user]
        assert (await backend.items.list(owner_id=user.id)).data == [item]
        async with mongo_database(settings) as database:
            assert await database.deleted_users.count_documents({}) == 0
        await backend.items.delete(item.id)
        assert (await backend.items.list()).count == 0
        assert backend.connections_in_use == 0
