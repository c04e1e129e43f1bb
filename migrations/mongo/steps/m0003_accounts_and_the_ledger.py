"""accounts and the ledger."""

from __future__ import annotations

from typing import Any

from bson import ObjectId

from backends.mongo.collections import IndexSpec
from backends.mongo.driver import Database, Document
from migrations.mongo.operations import document_validator, drop_collection, ensure_collection, ensure_index
from migrations.mongo.steps import m0001_users_and_items as first
from migrations.mongo.steps import m0002_versions_and_search as before

LACKS_COUNT: Document = {"accounts_opened": {"$exists": False}}

ID = first.OBJECT_ID
ID_OR_NULL = {"bsonType": ["objectId", "null"]}
MONEY = {"bsonType": "long", "minimum": 0}
MONEY_OR_NULL = {"bsonType": ["long", "null"], "minimum": 0}
INTEGER_OR_NULL = {"bsonType": ["int", "long", "null"]}
KEY = {"bsonType": "string", "minLength": 1, "maxLength": 255}

FIELDS: dict[str, dict[str, Any]] = {
    **before.FIELDS,
    "users": {**before.FIELDS["users"], "accounts_opened": before.INTEGER},
    "accounts": {
        "_id": ID,
        "owner_id": ID,
        "name": first.TEXT,
        "currency": {"bsonType": "string", "minLength": 3, "maxLength": 3},
        "balance_minor": MONEY,
        "created_at": first.DATE,
        "version": before.INTEGER,
    },
    "transfers": {
        "_id": ID,
        "ordered_by": ID,
        "idempotency_key": {"bsonType": ["string", "null"], "minLength": 1, "maxLength": 255},
        "amount_minor": {"bsonType": "long", "minimum": 1},
        "note": first.OPTIONAL_TEXT,
        "created_at": first.DATE,
        **{
            f"{side}_{name}": kind
            for side in ("from", "to")
            for name, kind in (
                ("account_id", ID_OR_NULL),
                ("owner_id", ID_OR_NULL),
                ("balance_minor", MONEY_OR_NULL),
                ("version", INTEGER_OR_NULL),
            )
        },
    },
    "idempotency_keys": {
        "_id": ID,
        "owner_id": ID,
        "key": KEY,
        "fingerprint": {"bsonType": "string", "minLength": 1, "maxLength": 64},
        "outcome": {"bsonType": "string"},
        "created_at": first.DATE,
    },
}

BY_TIME = (("created_at", -1), ("_id", -1))
ANY_ID = {"$gt": ObjectId("0" * 24)}
INDEXES = {
    "accounts": [
        IndexSpec(keys=BY_TIME),
        IndexSpec(keys=(("name", 1), ("_id", 1))),
        IndexSpec(keys=(("owner_id", 1), *BY_TIME)),
        IndexSpec(keys=(("owner_id", 1), ("name", 1), ("_id", 1))),
    ],
    "transfers": [
        IndexSpec(
            keys=(("ordered_by", 1), ("idempotency_key", 1)),
            unique=True,
            only={"idempotency_key": {"$gt": ""}},
        ),
        *(
            IndexSpec(
                keys=((f"{side}_account_id", 1), (f"{side}_version", 1)),
                unique=True,
                only={f"{side}_account_id": ANY_ID},
            )
            for side in ("from", "to")
        ),
        IndexSpec(keys=BY_TIME),
        *(IndexSpec(keys=((f"{side}_owner_id", 1), *BY_TIME)) for side in ("from", "to")),
    ],
    "idempotency_keys": [IndexSpec(keys=(("owner_id", 1), ("key", 1)), unique=True)],
}


async def upgrade(database: Database) -> None:
    """Create the collections; require the users' new field, then add it to the existing users."""
    for name in ("users", *INDEXES):
        await ensure_collection(database, name, validator=document_validator(FIELDS[name]))
    await database["users"].update_many(LACKS_COUNT, {"$set": {"accounts_opened": 0}})
    for name, indexes in INDEXES.items():
        for index in indexes:
            await ensure_index(database, name, index)


async def downgrade(database: Database) -> None:
    """Drop the collections and the ledger in them, and remove the users' field."""
    for name in INDEXES:
        await drop_collection(database, name)
    await ensure_collection(database, "users", validator=document_validator(before.FIELDS["users"]))
    await database["users"].update_many({}, {"$unset": {"accounts_opened": ""}})
