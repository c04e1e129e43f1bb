"""Transactions about items on MongoDB: what they meet, and what a dead process leaves."""

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
"""In all, as `docs/semantics.md` promises."""


@dataclass
class Scene:
    """Two users with an item each, one of whom is to be deleted; and what is sent meanwhile."""

    backend: Backend
    database: MongoDatabase
    commands: list[Command]
    user: User
    other: User
    items: list[Item]

    @property
    def transactions(self) -> int:
        """How many were started."""
        return sum(1 for command in self.commands if command.get("startTransaction"))

    @property
    def commits(self) -> int:
        """How often a commit was sent."""
        return names(self.commands).count("commitTransaction")

    async def is_untouched(self) -> bool:
        """Tell whether everything is as it was, through another client."""
        users = await self.database.users.count_documents({})
        items = await self.database["items"].count_documents({})
        return (users, items, await self.database.deleted_users.count_documents({})) == (2, 2, 0)

    async def is_deleted_once(self) -> bool:
        """Tell whether the user and its items are gone, the others not, and the record is there."""
        left = [document["_id"] async for document in self.database.users.find()]
        owners = [document["owner_id"] async for document in self.database["items"].find()]
        records = [document["_id"] async for document in self.database.deleted_users.find()]
        other = ObjectId(self.other.id)
        return (left, owners, records) == ([other], [other], [ObjectId(self.user.id)])


@pytest.fixture
async def scene(mongo: Provision) -> AsyncIterator[Scene]:
    """Set the scene; afterwards no connection is in use and no transaction open on the server."""
    await mongo.clean()
    async with recorded(mongo) as (backend, commands), mongo_database(mongo.settings) as database:
        user, other = [
            await backend.users.add(NewUser(email=f"{name}@example.com", hashed_password="x"))
            for name in ("user", "other")
        ]
        items = [await backend.items.add(NewItem(title="t"), owner_id=owner.id) for owner in (user, other)]
        commands.clear()
        yield Scene(backend, database, commands, user, other, items)
        assert backend.connections_in_use == 0
        await database.client.admin.command("killAllSessions", [])


# -- collisions ----------------------------------------------------------------------------------


async def test_delete_without_a_fault_is_one_transaction(scene: Scene) -> None:
    """Nothing is retried that went well."""
    await scene.backend.users.delete(scene.user.id)
    assert (scene.transactions, scene.commits) == (1, 1)
    assert await scene.is_deleted_once()


@pytest.mark.parametrize("times", [1, TRIES - 1])
@pytest.mark.parametrize("command", ["delete", "insert"])
async def test_delete_that_collides_is_tried_again(command: str, times: int, scene: Scene) -> None:
    """As often as it takes, up to five times in all; then it happened once."""
    async with failing_commands(scene.database, command, times=times, errorCode=112):
        await scene.backend.users.delete(scene.user.id)
    assert (scene.transactions, scene.commits) == (times + 1, 1)
    assert await scene.is_deleted_once()


@pytest.mark.parametrize("code", [112, 24, 251])
async def test_delete_that_always_collides_is_given_up(code: int, scene: Scene) -> None:
    """Conflict after five tries, and nothing was changed."""
    async with failing_commands(scene.database, "delete", errorCode=code):
        with pytest.raises(Conflict) as caught:
            await scene.backend.users.delete(scene.user.id)
    assert caught.value.__cause__ is not None
    assert (scene.transactions, scene.commits) == (TRIES, 0)
    assert await scene.is_untouched()
    await scene.backend.users.delete(scene.user.id)
    assert await scene.is_deleted_once()


async def test_delete_that_loses_its_connection_is_tried_again(scene: Scene) -> None:
    """Before the commit nothing can have happened, so that all of it is safe to repeat."""
    async with failing_commands(scene.database, "delete", times=1, closeConnection=True):
        await scene.backend.users.delete(scene.user.id)
    assert (scene.transactions, scene.commits) == (2, 1)
    assert await scene.is_deleted_once()


async def test_delete_that_always_loses_its_connection_is_unavailable(scene: Scene) -> None:
    """It did not collide with anybody: a client is told that the database is away."""
    async with failing_commands(scene.database, "delete", closeConnection=True):
        with pytest.raises(Unavailable) as caught:
            await scene.backend.users.delete(scene.user.id)
    assert type(caught.value) is ConnectionLost
    assert await scene.is_untouched()


async def test_delete_that_fails_otherwise_is_not_tried_again(scene: Scene) -> None:
    """An unknown failure would be the same a second time."""
    async with failing_commands(scene.database, "insert", errorCode=8000):
        with pytest.raises(Exception, match="8000") as caught:
            await scene.backend.users.delete(scene.user.id)
    assert not isinstance(caught.value, Unavailable)
    assert (scene.transactions, scene.commits) == (1, 0)
    assert await scene.is_untouched()


# -- commits whose outcome is unknown --------------------------------------------------------------

UNKNOWN: dict[str, dict[str, Any]] = {
    "out of time before the commit": {"errorCode": 50},
    "connection closed before the commit": {"closeConnection": True},
    "no majority after the commit": {"writeConcernError": {"code": 64, "errmsg": "waiting timed out"}},
}


@pytest.mark.parametrize("times", [1, 3])
@pytest.mark.parametrize("fault", UNKNOWN)
async def test_unknown_commit_is_committed_again(fault: str, times: int, scene: Scene) -> None:
    """The commit alone, in the same transaction: whether it had happened or not, it happened once."""
    async with failing_commands(scene.database, "commitTransaction", times=times, **UNKNOWN[fault]):
        await scene.backend.users.delete(scene.user.id)
    assert scene.transactions == 1
    assert scene.commits == times + 1
    assert await scene.is_deleted_once()


async def test_commit_that_stays_unknown_is_unavailable(scene: Scene) -> None:
    """Not Conflict, which would promise that nothing was changed; asking again tells the outcome."""
    fault = UNKNOWN["no majority after the commit"]
    async with failing_commands(scene.database, "commitTransaction", **fault):
        with pytest.raises(Unavailable) as caught:
            await scene.backend.users.delete(scene.user.id)
    assert type(caught.value) is Unavailable
    assert scene.transactions == 1
    assert scene.commits >= TRIES
    with pytest.raises(NotFound):
        await scene.backend.users.delete(scene.user.id)
    assert await scene.is_deleted_once()


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
async def test_add_many_that_is_tried_again_adds_them_once(
    command: str, fault: dict[str, Any], transactions: int, scene: Scene
) -> None:
    """After a collision or a lost connection all of it, after an unknown commit the commit alone."""
    async with failing_commands(scene.database, command, times=1, **fault):
        items = await scene.backend.items.add_many(NEW, owner_id=scene.user.id)
    assert scene.transactions == transactions
    mine = (await scene.backend.items.list(owner_id=scene.user.id)).data
    assert mine == [*items[::-1], scene.items[0]]


async def test_add_many_that_always_collides_adds_nothing(scene: Scene) -> None:
    """Conflict after five tries."""
    async with failing_commands(scene.database, "insert", errorCode=112):
        with pytest.raises(Conflict):
            await scene.backend.items.add_many(NEW, owner_id=scene.user.id)
    assert (scene.transactions, scene.commits) == (TRIES, 0)
    assert await scene.is_untouched()


@pytest.mark.parametrize("fault", [{"errorCode": 112}, {"closeConnection": True}])
async def test_add_many_for_nobody_takes_back_all_of_it(fault: dict[str, Any], scene: Scene) -> None:
    """Also where that fails at first; readers see all of it or none."""
    async with failing_commands(scene.database, "delete", times=1, **fault):
        with pytest.raises(NotFound):
            await scene.backend.items.add_many(NEW, owner_id=str(ObjectId()))
    assert (scene.transactions, scene.commits) == (3, 2)
    assert await scene.is_untouched()


# -- what a process that dies leaves ---------------------------------------------------------------


async def leave_orphan(scene: Scene) -> ObjectId:
    """Store an item as `add` would, of a user who was deleted meanwhile."""
    item = ObjectId()
    await scene.database["items"].insert_one(
        {
            "_id": item,
            "title": "orphan",
            "description": None,
            "owner_id": ObjectId(scene.user.id),
            "created_at": datetime.now(UTC),
            "version": 1,
            "title_folded": "orphan",
            "description_folded": None,
        }
    )
    return item


async def test_check_schema_sweeps_orphans_of_recorded_users(scene: Scene) -> None:
    """The next start finishes what a dead process left; nobody else's item is touched."""
    await scene.backend.users.delete(scene.user.id)
    await leave_orphan(scene)
    assert not await scene.is_deleted_once()
    await scene.backend.check_schema()
    assert await scene.is_deleted_once()


async def test_check_schema_of_a_fresh_database_sweeps_nothing(scene: Scene) -> None:
    """With nobody deleted, no deletion is sent."""
    await scene.backend.check_schema()
    assert "delete" not in names(scene.commands)
    assert await scene.is_untouched()


async def test_delete_sweeps_what_was_added_before_the_commit(scene: Scene) -> None:
    """An item that the transaction's snapshot could not see goes with the sweep after it."""
    async with failing_commands(scene.database, "commitTransaction", blockConnection=True, blockTimeMS=500):
        deleting = asyncio.create_task(scene.backend.users.delete(scene.user.id))
        while "commitTransaction" not in names(scene.commands):
            assert not deleting.done()
            await asyncio.sleep(0.005)
        await leave_orphan(scene)
        await deleting
    assert await scene.is_deleted_once()


async def test_delete_whose_sweep_fails_is_done_and_swept_at_the_next_start(
    scene: Scene, caplog: pytest.LogCaptureFixture
) -> None:
    """The user is gone, which is what was asked for; a warning names it, and nothing is forgotten."""
    with caplog.at_level(logging.WARNING, logger="backends.mongo.users"):
        async with failing_commands(scene.database, "delete", skip=3, errorCode=8000):
            await scene.backend.users.delete(scene.user.id)
    (record,) = caplog.records
    assert record.levelno == logging.WARNING
    assert scene.user.id in record.getMessage()
    await leave_orphan(scene)
    await scene.backend.check_schema()
    assert await scene.is_deleted_once()


# -- a server without transactions -----------------------------------------------------------------


@pytest.fixture(scope="module")
def standalone(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalServer]:
    """Start a mongod that is no replica set."""
    with start_mongo(tmp_path_factory.mktemp("standalone"), replica_set=False) as server:
        yield server


@pytest.mark.parametrize("driver", ["motor", "pymongo"])
async def test_standalone_refuses_only_what_needs_a_transaction(
    driver: MongoDriver, standalone: LocalServer
) -> None:
    """The capability is absent; what needs it says so and does nothing; all else works."""
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
