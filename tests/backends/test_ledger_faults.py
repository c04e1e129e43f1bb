"""MongoDB's commit goes wrong on the way: each entry is in the ledger exactly once all the same."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import pytest
from pydantic import SecretStr
from pymongo import common

from backends.errors import Conflict, Unavailable
from backends.models import Idempotency, NewAccount, NewEntry, NewTransfer, NewUser, Transfer
from backends.mongo import abandoned
from backends.protocols import Backend
from tests.backends.raw import MongoDatabase, failing_commands, mongo_database, opened
from tests.provision import Provision

DEPOSITED, AMOUNT = 1000, 30
KEY = Idempotency(key="once", fingerprint="f" * 64)
RETRYABLE = ["RetryableWriteError"]

# What the server, or the way to it, does to a commit.
NOT_DONE: dict[str, dict[str, Any]] = {
    "connection lost": {"closeConnection": True},
    "shutdown": {"errorCode": 91, "errorLabels": RETRYABLE},
    "no longer primary": {"errorCode": 10107, "errorLabels": RETRYABLE},
    "stepped down": {"errorCode": 189, "errorLabels": RETRYABLE},
    "given up": {"errorCode": 251, "errorLabels": ["TransientTransactionError"]},
}
DONE: dict[str, dict[str, Any]] = {
    "no majority in time": {"writeConcernError": {"code": 64, "errmsg": "waiting timed out"}},
    "done, then shutdown": {
        "writeConcernError": {"code": 91, "errmsg": "shutting down"},
        "errorLabels": RETRYABLE,
    },
    "done, then stepped down": {
        "writeConcernError": {"code": 189, "errmsg": "stepped down"},
        "errorLabels": RETRYABLE,
    },
}


@dataclass
class Scene:
    """Two accounts, with money in one of them; and the database behind the backend."""

    backend: Backend
    database: MongoDatabase
    user: str
    source: str
    target: str

    async def transfer(self, idempotency: Idempotency | None = None) -> Transfer:
        """Move money."""
        new = NewTransfer(from_account_id=self.source, to_account_id=self.target, amount_minor=AMOUNT)
        return await self.backend.accounts.transfer(new, ordered_by=self.user, idempotency=idempotency)

    async def deposit(self, idempotency: Idempotency | None = None) -> Transfer:
        """Bring money in."""
        new = NewEntry(amount_minor=AMOUNT)
        return await self.backend.accounts.deposit(
            self.target, new, ordered_by=self.user, idempotency=idempotency
        )

    async def ledger(self) -> tuple[list[str], list[int]]:
        """Return the entries' ids after the first one's, and the balances: as they are stored."""
        entries = await self.database["transfers"].find().sort("created_at").to_list()
        rows = {str(row["_id"]): row async for row in self.database["accounts"].find()}
        ids = [str(entry["_id"]) for entry in entries]
        return ids[1:], [rows[id_]["balance_minor"] for id_ in (self.source, self.target)]


@pytest.fixture
async def scene(mongo: Provision, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Scene]:
    """Make the accounts in an empty database."""
    await mongo.clean()
    # After an answer that tells of a shutdown the driver waits for the server's next sign of life, for half
    # a second at least if it is let.
    monkeypatch.setattr(common, "MIN_HEARTBEAT_INTERVAL", 0.02)
    options = {"database_url": SecretStr(f"{mongo.settings.url}&heartbeatFrequencyMS=50")}
    settings = mongo.settings.model_copy(update=options)
    async with opened(mongo.open(settings)) as backend, mongo_database(mongo.settings) as database:
        user = await backend.users.add(NewUser(email="owner@example.com", hashed_password="x"))
        new = NewAccount(name="account", currency="EUR")
        accounts = [await backend.accounts.add(new, owner_id=user.id) for _ in range(2)]
        source, target = (account.id for account in accounts)
        await backend.accounts.deposit(source, NewEntry(amount_minor=DEPOSITED), ordered_by=user.id)
        yield Scene(backend, database, user.id, source, target)


@pytest.mark.parametrize("times", [1, 3])
@pytest.mark.parametrize("idempotency", [None, KEY], ids=["no key", "key"])
@pytest.mark.parametrize("fault", [*NOT_DONE.values(), *DONE.values()], ids=[*NOT_DONE, *DONE])
async def test_commit_that_fails_is_done_once(
    scene: Scene, fault: dict[str, Any], idempotency: Idempotency | None, times: int
) -> None:
    """The call finds out by itself; nobody sees that anything was wrong."""
    async with failing_commands(scene.database, "commitTransaction", times=times, **fault):
        moved = await scene.transfer(idempotency)
    balances = [DEPOSITED - AMOUNT, AMOUNT]
    assert await scene.ledger() == ([moved.id], balances)
    assert await scene.backend.accounts.get_transfer(moved.id) == moved
    if idempotency is not None:
        assert await scene.transfer(idempotency) == moved
        assert await scene.ledger() == ([moved.id], balances)


@pytest.mark.parametrize("fault", [*NOT_DONE.values(), *DONE.values()], ids=[*NOT_DONE, *DONE])
async def test_deposit_whose_commit_fails_is_done_once(scene: Scene, fault: dict[str, Any]) -> None:
    """What comes from outside does so once."""
    async with failing_commands(scene.database, "commitTransaction", times=1, **fault):
        brought = await scene.deposit()
    assert await scene.ledger() == ([brought.id], [DEPOSITED, AMOUNT])


@pytest.mark.parametrize("fault", NOT_DONE.values(), ids=NOT_DONE)
async def test_commit_that_always_fails_is_safe_to_repeat(
    scene: Scene, fault: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The call gives up with Unavailable; the same key carries it out later, once."""
    async with failing_commands(scene.database, "commitTransaction", **fault):
        with pytest.raises(Unavailable):
            await scene.transfer(KEY)
    # What was not committed keeps its accounts from everybody until somebody ends it.
    monkeypatch.setattr(abandoned, "IDLE_SECONDS", 0.3)
    moved = None
    async with asyncio.timeout(20):
        while moved is None:
            with suppress(Conflict):
                moved = await scene.transfer(KEY)
    assert await scene.transfer(KEY) == moved
    assert await scene.ledger() == ([moved.id], [DEPOSITED - AMOUNT, AMOUNT])


@pytest.mark.parametrize("fault", DONE.values(), ids=DONE)
async def test_commit_that_is_done_and_never_acknowledged_is_not_done_again(
    scene: Scene, fault: dict[str, Any]
) -> None:
    """Whether the call finds out or gives up: the same key finds what was done, once."""
    async with failing_commands(scene.database, "commitTransaction", **fault):
        try:
            first: Transfer | None = await scene.transfer(KEY)
        except Unavailable:
            first = None
    moved = await scene.transfer(KEY)
    assert first in {None, moved}
    assert await scene.ledger() == ([moved.id], [DEPOSITED - AMOUNT, AMOUNT])


@pytest.mark.parametrize("command", ["findAndModify", "insert"])
async def test_connection_lost_within_the_transaction_is_made_good(scene: Scene, command: str) -> None:
    """What was begun is rolled back, and begun again."""
    async with failing_commands(scene.database, command, times=2, closeConnection=True):
        moved = await scene.transfer(KEY)
    assert await scene.ledger() == ([moved.id], [DEPOSITED - AMOUNT, AMOUNT])
