"""A process that dies within a transaction doesn't lock its accounts for long."""

from __future__ import annotations

import asyncio
import logging

import pytest
from bson import ObjectId
from pymongo import AsyncMongoClient

from backends.errors import Conflict
from backends.models import NewAccount, NewEntry, NewUser
from backends.mongo import abandoned
from tests.backends.raw import failing_commands, mongo_database, opened
from tests.provision import Provision


async def test_transaction_that_was_left_open_is_ended(
    mongo: Provision, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A conflicting caller ends an idle transaction, which is rolled back."""
    monkeypatch.setattr(abandoned, "IDLE_SECONDS", 0.5)
    monkeypatch.setattr(abandoned, "CHECK_INTERVAL_SECONDS", 0.1)
    await mongo.clean()
    async with (
        opened(mongo.open()) as backend,
        AsyncMongoClient[dict[str, object]](mongo.settings.url, appname="eitherdb") as dead,
        dead.start_session() as session,
    ):
        user = await backend.users.add(NewUser(email="a@example.com", hashed_password="x"))
        account = await backend.accounts.add(NewAccount(name="A", currency="EUR"), owner_id=user.id)
        await session.start_transaction()
        accounts = dead.get_default_database()["accounts"]
        await accounts.update_one({"_id": ObjectId(account.id)}, {"$inc": {"version": 1}}, session=session)

        with pytest.raises(Conflict):  # The process may still be alive.
            await backend.accounts.deposit(account.id, NewEntry(amount_minor=5), ordered_by=user.id)
        async with asyncio.timeout(20):  # Without that, the server keeps the transaction for a minute.
            while True:
                try:
                    entry = NewEntry(amount_minor=7)
                    await backend.accounts.deposit(account.id, entry, ordered_by=user.id)
                    break
                except Conflict:
                    continue
        after = await backend.accounts.get(account.id)
        assert (after.balance_minor, after.version) == (7, 2)
        assert (await backend.accounts.transfers()).count == 1
        said = [record.getMessage() for record in caplog.records if record.name == abandoned.__name__]
        assert said == ["ended 1 transactions that were left open"]


@pytest.mark.parametrize("command", ["aggregate", "killSessions"])
async def test_server_that_does_not_let_them_be_ended_is_a_warning(
    mongo: Provision, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, command: str
) -> None:
    """The call that conflicted raises the conflict and no other error."""
    monkeypatch.setattr(abandoned, "IDLE_SECONDS", 0.0)
    await mongo.clean()
    async with (
        opened(mongo.open()) as backend,
        mongo_database(mongo.settings) as database,
        AsyncMongoClient[dict[str, object]](mongo.settings.url, appname="eitherdb") as dead,
        dead.start_session() as session,
    ):
        user = await backend.users.add(NewUser(email="a@example.com", hashed_password="x"))
        account = await backend.accounts.add(NewAccount(name="A", currency="EUR"), owner_id=user.id)
        await session.start_transaction()
        accounts = dead.get_default_database()["accounts"]
        await accounts.update_one({"_id": ObjectId(account.id)}, {"$inc": {"version": 1}}, session=session)
        with caplog.at_level(logging.WARNING, logger=abandoned.__name__):
            async with failing_commands(database, command, errorCode=13):
                with pytest.raises(Conflict):
                    await backend.accounts.deposit(account.id, NewEntry(amount_minor=5), ordered_by=user.id)
        assert {record.getMessage().partition(":")[0] for record in caplog.records} == {
            "could not look for transactions that were left open"
        }
        await session.abort_transaction()
