"""users and items."""

from __future__ import annotations

from typing import Any

from backends.mongo.collections import IndexSpec
from backends.mongo.driver import Database
from migrations.mongo.operations import (
    document_validator,
    drop_collection,
    ensure_collection,
    ensure_index,
)

WEEK_SECONDS = 7 * 24 * 3600

TEXT = {"bsonType": "string", "minLength": 1, "maxLength": 255}
OPTIONAL_TEXT = {"bsonType": ["string", "null"], "minLength": 0, "maxLength": 255}
OBJECT_ID = {"bsonType": "objectId"}
DATE = {"bsonType": "date"}
BOOL = {"bsonType": "bool"}

FIELDS: dict[str, dict[str, Any]] = {
    "users": {
        "_id": OBJECT_ID,
        "email": TEXT,
        "hashed_password": TEXT,
        "full_name": OPTIONAL_TEXT,
        "is_active": BOOL,
        "is_superuser": BOOL,
        "created_at": DATE,
    },
    "items": {
        "_id": OBJECT_ID,
        "title": TEXT,
        "description": OPTIONAL_TEXT,
        "owner_id": OBJECT_ID,
        "created_at": DATE,
    },
    "deleted_users": {"_id": OBJECT_ID, "deleted_at": DATE},
}

INDEXES = {
    "users": [
        IndexSpec(keys=(("email", 1),), unique=True),
        IndexSpec(keys=(("created_at", -1), ("_id", -1))),
    ],
    "items": [
        IndexSpec(keys=(("created_at", -1), ("_id", -1))),
        IndexSpec(keys=(("owner_id", 1), ("created_at", -1), ("_id", -1))),
    ],
    "deleted_users": [IndexSpec(keys=(("deleted_at", 1),), expire_after_seconds=WEEK_SECONDS)],
}


async def upgrade(database: Database) -> None:
    """Create the collections."""
    for name, fields in FIELDS.items():
        await ensure_collection(database, name, validator=document_validator(fields))
        for index in INDEXES[name]:
            await ensure_index(database, name, index)


async def downgrade(database: Database) -> None:
    """Drop the collections and their documents."""
    for name in FIELDS:
        await drop_collection(database, name)
