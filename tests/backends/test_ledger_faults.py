"""Failures around MongoDB's commit: each entry is in the ledger exactly once."""

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

# Failures of a commit at the server or in the network.
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
class Scenario:
    """Two accounts, one of them with money, and the database of the backend."""

    backend: Backend
    database: MongoDatabase
    user: str
    source: str
    target: str

    async def transfer(self, idempotency: Idempotency | None = None) -> Transfer:
        """Transfer money."""
        new = NewTransfer(from_account_id=self.source, to_account_id=self.target, amount_minor=AMOUNT)
        return await self.backend.accounts.transfer(new, ordered_by=self.user, idempotency=idempotency)

    async def deposit(self, idempotency: Idempotency | None = None) -> Transfer:
        """Deposit money."""
        new = NewEntry(amount_minor=AMOUNT)
        return await self.backend.accounts.deposit(
            self.target, new, ordered_by=self.user, idempotency=idempotency
        )

    async def ledger(self) -> tuple[list[str], list[int]]:
        """Return the ids of all entries after the first, and the balances, as stored."""
        entries = await self.database["transfers"].find().sort("created_at").to_list()
        rows = {str(row["_id"]): row async for row in self.database["accounts"].find()}
        ids = [str(entry["_id"]) for entry in entries]
        return ids[1:], [rows[id_]["balance_minor"] for id_ in (self.source, self.target)]


@pytest.fixture
async def scenario(mongo: Provision, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Scenario]:
    """Create the accounts in an empty database."""
    await mongo.clean()
    # After an error about a shutdown the driver waits for the server's next heartbeat, at least half a
    # second by default.
    monkeypatch.setattr(common, "MIN_HEARTBEAT_INTERVAL", 0.02)
    options = {"database_url": SecretStr(f"{mongo.settings.url}&heartbeatFrequencyMS=50")}
    settings = mongo.settings.model_copy(update=options)
    async with opened(mongo.open(settings)) as backend, mongo_database(mongo.settings) as database:
        user = await backend.users.add(NewUser(email="owner@example.com", hashed_password="x"))
        new = NewAccount(name="account", currency="EUR")
        accounts = [await backend.accounts.add(new, owner_id=user.id) for _ in range(2)]
        source, target = (account.id for account in accounts)
        await backend.accounts.deposit(source, NewEntry(amount_minor=DEPOSITED), ordered_by=user.id)
        yield Scenario(backend, database, user.id, source, target)


@pytest.mark.parametrize("times", [1, 3])
@pytest.mark.parametrize("idempotency", [None, KEY], ids=["no key", "key"])
@pytest.mark.parametrize("fault", [*NOT_DONE.values(), *DONE.values()], ids=[*NOT_DONE, *DONE])
async def test_commit_that_fails_is_done_once(
    scenario: Scenario, fault: dict[str, Any], idempotency: Idempotency | None, times: int
) -> None:
    """The call resolves the outcome itself; the caller doesn't notice it."""
    async with failing_commands(scenario.database, "commitTransaction", times=times, **fault):
        moved = await scenario.transfer(idempotency)
    balances = [DEPOSITED - AMOUNT, AMOUNT]
    assert await scenario.ledger() == ([moved.id], balances)
    assert await scenario.backend.accounts.get_transfer(moved.id) == moved
    if idempotency is not None:
        assert await scenario.transfer(idempotency) == moved
        assert await scenario.ledger() == ([moved.id], balances)


@pytest.mark.parametrize("fault", [*NOT_DONE.values(), *DONE.values()], ids=[*NOT_DONE, *DONE])
async def test_deposit_whose_commit_fails_is_done_once(scenario: Scenario, fault: dict[str, Any]) -> None:
    """A deposit is committed exactly once, too."""
    async with failing_commands(scenario.database, "commitTransaction", times=1, **fault):
        brought = await scenario.deposit()
    assert await scenario.ledger() == ([brought.id], [DEPOSITED, AMOUNT])


@pytest.mark.parametrize("fault", NOT_DONE.values(), ids=NOT_DONE)
async def test_commit_that_always_fails_is_safe_to_repeat(
    scenario: Scenario, fault: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The call raises Unavailable; a later repetition with the key carries it out once."""
    async with failing_commands(scenario.database, "commitTransaction", **fault):
        with pytest.raises(Unavailable):
            await scenario.transfer(KEY)
    # The open transaction locks its accounts until it is ended.
    monkeypatch.setattr(abandoned, "IDLE_SECONDS", 0.3)
    moved = None
    async with asyncio.timeout(20):
        while moved is None:
            with suppress(Conflict):
                moved = await scenario.transfer(KEY)
    assert await scenario.transfer(KEY) == moved
    assert await scenario.ledger() == ([moved.id], [DEPOSITED - AMOUNT, AMOUNT])


@pytest.mark.parametrize("fault", DONE.values(), ids=DONE)
async def test_commit_that_is_done_and_never_acknowledged_is_not_done_again(
    scenario: Scenario, fault: dict[str, Any]
) -> None:
    """Whether the call succeeds or raises, its key finds the committed entry, once."""
    async with failing_commands(scenario.database, "commitTransaction", **fault):
        try:
            first: Transfer | None = await scenario.transfer(KEY)
        except Unavailable:
            first = None
    moved = await scenario.transfer(KEY)
    assert first in {None, moved}
    assert await scenario.ledger() == ([moved.id], [DEPOSITED - AMOUNT, AMOUNT])


@pytest.mark.parametrize("command", ["findAndModify", "insert"])
async def test_connection_lost_within_the_transaction_is_retried(scenario: Scenario, command: str) -> None:
    """The transaction is rolled back and repeated."""
    async with failing_commands(scenario.database, command, times=2, closeConnection=True):
        moved = await scenario.transfer(KEY)
    assert await scenario.ledger() == ([moved.id], [DEPOSITED - AMOUNT, AMOUNT])
