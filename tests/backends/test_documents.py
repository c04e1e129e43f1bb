"""Documents: stored types, validators, and the read and write concerns of every command."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from bson import Int64, ObjectId
from pydantic import SecretStr
from pymongo.errors import WriteError

from backends.models import ItemChanges, NewItem, NewUser
from backends.mongo.schema import COLLECTIONS
from eitherdb_contract.clock import ManualClock
from tests.backends.methods import METHODS, add_rows
from tests.backends.raw import mongo_database, opened
from tests.backends.record import Command, recorded
from tests.provision import Provision

VALIDATION_FAILED = 121
NOW = datetime(2026, 11, 22, 16, 25, 25, 123_000)  # noqa: DTZ001 - as the driver gives it

FAR_FUTURE = datetime(2526, 11, 22)  # noqa: DTZ001

VALID: dict[str, dict[str, Any]] = {
    "users": {
        "_id": ObjectId(),
        "email": "a@example.com",
        "hashed_password": "x",
        "full_name": None,
        "is_active": True,
        "is_superuser": False,
        "created_at": NOW,
        "version": 1,
        "session_version": 0,
        "accounts_opened": 0,
    },
    "items": {
        "_id": ObjectId(),
        "title": "t",
        "description": None,
        "owner_id": ObjectId(),
        "created_at": NOW,
        "version": 1,
        "title_folded": "t",
        "description_folded": None,
    },
    "accounts": {
        "_id": ObjectId(),
        "owner_id": ObjectId(),
        "name": "n",
        "currency": "EUR",
        "balance_minor": Int64(1),
        "created_at": NOW,
        "version": 1,
    },
    "transfers": {
        "_id": ObjectId(),
        "ordered_by": ObjectId(),
        "idempotency_key": None,
        "amount_minor": Int64(1),
        "note": None,
        "created_at": NOW,
        "from_account_id": None,
        "from_owner_id": None,
        "from_balance_minor": None,
        "from_version": None,
        "to_account_id": ObjectId(),
        "to_owner_id": ObjectId(),
        "to_balance_minor": Int64(0),
        "to_version": 2,
    },
    "idempotency_keys": {
        "_id": ObjectId(),
        "owner_id": ObjectId(),
        "key": "k",
        "fingerprint": "f",
        "outcome": "{}",
        "created_at": NOW,
    },
    "deleted_users": {"_id": ObjectId(), "deleted_at": FAR_FUTURE},
    "counters": {"_id": "k", "value": 1, "ends_at": FAR_FUTURE},
}
WRONG: dict[type, list[Any]] = {
    ObjectId: [str(ObjectId()), b"twelve bytes", None],
    str: ["", "x" * 256, 5, None],
    type(None): ["x" * 256, 5],
    bool: [1, "true", None],
    int: ["1", 1.5, True, None],
    datetime: ["2026-11-22T16:25:25.123Z", 1795364725123, None],
    # Money is a 64-bit integer up to 2^53 - 1, which neither overflows nor becomes a float.
    Int64: [Int64(-1), Int64(2**53), 1, 1.0, "1", None],
}
_ID_OR_NULL = [str(ObjectId()), 5]
_MONEY_OR_NULL = [Int64(-1), Int64(2**53), 1, 1.0, "1"]
WRONG_FIELDS: dict[str, list[Any]] = {
    # Folded text may be empty or long, because its source is limited.
    "title_folded": [5, None],
    "description_folded": [5, True],
    "outcome": [5, None],
    "idempotency_key": ["", "x" * 256, 5],
    "currency": ["EU", "EURO", 5, None],
    "amount_minor": [Int64(0), *WRONG[Int64]],
    # An entry may lack a side.
    **{f"{side}_{name}": _ID_OR_NULL for side in ("from", "to") for name in ("account_id", "owner_id")},
    **{f"{side}_balance_minor": _MONEY_OR_NULL for side in ("from", "to")},
    **{f"{side}_version": ["1", 1.5, True] for side in ("from", "to")},
}
FIELDS = [(name, field) for name, document in VALID.items() for field in document]


async def test_documents_have_every_field_in_its_native_type(mongo: Provision) -> None:
    """Ids are ObjectIds, times dates, flags booleans; inserts and updates store null."""
    await mongo.clean()
    clock = ManualClock()
    clock.stop()
    async with opened(mongo.open(clock=clock)) as backend:
        user = await backend.users.add(NewUser(email="a@example.com", hashed_password="x"))
        item = await backend.items.add(NewItem(title="T"), owner_id=user.id)
        full = await backend.items.add(NewItem(title="T", description="D"), owner_id=user.id)
        await backend.items.update(full.id, ItemChanges(description=None))
        async with mongo_database(mongo.settings) as database:
            assert await database.users.find().to_list() == [
                {
                    "_id": ObjectId(user.id),
                    "email": "a@example.com",
                    "hashed_password": "x",
                    "full_name": None,
                    "is_active": True,
                    "is_superuser": False,
                    "created_at": NOW,
                    "version": 1,
                    "session_version": 0,
                    "accounts_opened": 0,
                }
            ]
            assert await database["items"].find().to_list() == [
                {
                    "_id": ObjectId(id_),
                    "title": "T",
                    "description": None,
                    "owner_id": ObjectId(user.id),
                    "created_at": NOW,
                    "version": version,
                    "title_folded": "t",
                    "description_folded": None,
                }
                for id_, version in ((item.id, 1), (full.id, 2))
            ]
            assert await database.deleted_users.find().to_list() == []
            # The server's TTL index would remove old records.
            clock.now = FAR_FUTURE.replace(tzinfo=UTC)
            await backend.users.delete(user.id)
            assert await database.deleted_users.find().to_list() == [
                {"_id": ObjectId(user.id), "deleted_at": FAR_FUTURE}
            ]


async def test_valid_documents_are_accepted(mongo: Provision) -> None:
    """The samples of the tests below are valid and cover every field."""
    await mongo.clean()
    async with mongo_database(mongo.settings) as database:
        for spec in COLLECTIONS:
            await database[spec.name].insert_one(dict(VALID[spec.name]))
            assert list(spec.validator["$jsonSchema"]["properties"]) == list(VALID[spec.name])
    assert {spec.name for spec in COLLECTIONS} == set(VALID)


@pytest.mark.parametrize(("name", "field"), FIELDS)
async def test_document_without_a_field_or_with_a_wrong_one_is_refused(
    name: str, field: str, mongo: Provision
) -> None:
    """The validator refuses an invalid insert and update by any client."""
    await mongo.clean()
    valid = VALID[name]
    async with mongo_database(mongo.settings) as database:
        collection = database[name]
        bad = [{**valid, field: wrong} for wrong in WRONG_FIELDS.get(field, WRONG[type(valid[field])])]
        if field != "_id":
            bad.append({key: value for key, value in valid.items() if key != field})
        bad.append({**valid, "surplus": None})
        for document in bad:
            with pytest.raises(WriteError) as caught:
                await collection.insert_one(document)
            assert caught.value.code == VALIDATION_FAILED
        if field == "_id":
            return
        await collection.insert_one(dict(valid))
        changes: list[dict[str, Any]] = [{"$unset": {field: ""}}, {"$set": {field: {}}}]
        for change in changes:
            with pytest.raises(WriteError) as caught:
                await collection.update_one({"_id": valid["_id"]}, change)
            assert caught.value.code == VALIDATION_FAILED
        assert await collection.find().to_list() == [valid]


async def test_times_are_read_as_they_were_stored(mongo: Provision) -> None:
    """BSON dates are milliseconds since 1970 without a zone, read as UTC."""
    await mongo.clean()
    async with mongo_database(mongo.settings) as database:
        await database.users.insert_one(dict(VALID["users"]))
    async with opened(mongo.open()) as backend:
        (user,) = (await backend.users.list()).data
        assert user.created_at == NOW.replace(tzinfo=UTC)


# -- durability and isolation --------------------------------------------------------------------


MAJORITY = {"w": "majority", "j": True}


def is_guaranteed(command: Command) -> bool:
    """Return whether the command asks for the guarantees of the contract."""
    name = next(iter(command))
    # A snapshot contains only majority-committed data.
    read = command.get("readConcern", {}).get("level") in {"majority", "snapshot"}
    write = command.get("writeConcern") == MAJORITY
    if name == "commitTransaction":
        guaranteed = write
    elif "autocommit" in command:  # In a transaction the first command reads, and the commit writes.
        guaranteed = read or not command.get("startTransaction")
    elif name in {"find", "aggregate"}:
        guaranteed = read
    else:
        # Only a command with a transaction number is retried once by the driver; `many` commands have none.
        guaranteed = write and ("txnNumber" in command or name == "delete")
    primary = command.get("$readPreference", {"mode": "primary"}) == {"mode": "primary"}
    return guaranteed and primary


@pytest.mark.parametrize(
    "options",
    [
        "",
        "&w=majority&retryWrites=true&appName=Cluster0",
    ],
)
async def test_every_command_asks_for_a_majority(options: str, mongo: Provision) -> None:
    """Every command has majority read concern and journalled majority writes, for any URL."""
    await mongo.clean()
    url = mongo.settings.url + (options if "?" in mongo.settings.url else options.replace("&", "?", 1))
    settings = mongo.settings.model_copy(update={"database_url": SecretStr(url)})
    async with recorded(mongo, settings) as (backend, commands):
        rows = await add_rows(backend)
        for name, (call, _, _) in METHODS.items():
            await call(backend, rows)
            if ".delete" in name:
                rows = await add_rows(backend)
        seen = {next(iter(command)) for command in commands}
        transactions = {"commitTransaction", "abortTransaction"}
        assert seen == {"find", "aggregate", "insert", "update", "findAndModify", "delete"} | transactions
        assert [command for command in commands if not is_guaranteed(command)] == []
