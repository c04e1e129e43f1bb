"""versions, sessions, search and counters."""

from __future__ import annotations

from typing import Any
from unicodedata import normalize

from pymongo import UpdateOne

from backends.mongo.collections import IndexSpec
from backends.mongo.driver import Database, Document
from migrations.mongo.operations import (
    document_validator,
    drop_collection,
    drop_index,
    ensure_collection,
    ensure_index,
)
from migrations.mongo.steps import m0001_users_and_items as before

BATCH = 1000
LACKS_VERSION: Document = {"version": {"$exists": False}}

KEY = {"bsonType": "string", "minLength": 1, "maxLength": 255}
INTEGER = {"bsonType": ["int", "long"]}
FIELDS: dict[str, dict[str, Any]] = {
    **before.FIELDS,
    "users": {**before.FIELDS["users"], "version": INTEGER, "session_version": INTEGER},
    "items": {
        **before.FIELDS["items"],
        "version": INTEGER,
        "title_folded": {"bsonType": "string"},
        "description_folded": {"bsonType": ["string", "null"]},
    },
    "counters": {"_id": KEY, "value": INTEGER, "ends_at": before.DATE},
}

INDEXES = {
    "items": [
        IndexSpec(keys=(("title", 1), ("_id", 1))),
        IndexSpec(keys=(("owner_id", 1), ("title", 1), ("_id", 1))),
    ],
    "counters": [IndexSpec(keys=(("ends_at", 1),))],
}


async def upgrade(database: Database) -> None:
    """Require the new fields in the validators, then add them to the existing documents."""
    for name in ("users", "items", "counters"):
        await ensure_collection(database, name, validator=document_validator(FIELDS[name]))
    await database["users"].update_many(LACKS_VERSION, {"$set": {"version": 1, "session_version": 0}})
    await _fold_items(database)
    for name, indexes in INDEXES.items():
        for index in indexes:
            await ensure_index(database, name, index)


async def downgrade(database: Database) -> None:
    """Remove the fields; the counters are lost."""
    await drop_collection(database, "counters")
    for index in INDEXES["items"]:
        await drop_index(database, "items", index)
    for name in ("users", "items"):
        await ensure_collection(database, name, validator=document_validator(before.FIELDS[name]))
        added = FIELDS[name].keys() - before.FIELDS[name].keys()
        await database[name].update_many({}, {"$unset": dict.fromkeys(added, "")})


async def _fold_items(database: Database) -> None:
    """Add the case-folded texts to the existing items, with this step's own folding."""
    items, rest = database["items"], LACKS_VERSION
    while documents := await items.find(rest).sort([("_id", 1)]).limit(BATCH).to_list(BATCH):
        await items.bulk_write([_folding(document) for document in documents])
        # Continue after the last id: a scan from the start would pass all finished items for each batch.
        rest = {**LACKS_VERSION, "_id": {"$gt": documents[-1]["_id"]}}


def _folding(document: Document) -> UpdateOne:
    values = {f"{name}_folded": _fold(document[name]) for name in ("title", "description")}
    return UpdateOne({"_id": document["_id"]}, {"$set": {"version": 1, **values}})


def _fold(text: str | None) -> str | None:
    return text and normalize("NFC", normalize("NFC", text).casefold())
