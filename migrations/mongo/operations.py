"""What steps are made of; each operation may be run again on its own result."""

from __future__ import annotations

from typing import Any

from pymongo.errors import OperationFailure

from backends.mongo.driver import Database
from backends.mongo.schema import IndexSpec

NAMESPACE_EXISTS = 48
NAMESPACE_NOT_FOUND = 26
INDEX_NOT_FOUND = 27


def document_validator(fields: dict[str, Any]) -> dict[str, Any]:
    """Demand every field in every document, null included, and no other field."""
    return {
        "$jsonSchema": {
            "bsonType": "object",
            "required": sorted(fields),
            "properties": fields,
            "additionalProperties": False,
        }
    }


async def ensure_collection(database: Database, name: str, *, validator: dict[str, Any]) -> None:
    """Create the collection, or give an existing one this validator."""
    try:
        # check_exists: the server decides; the driver's own look would race another and raise differently.
        await database.create_collection(name, validator=validator, check_exists=False)
    except OperationFailure as exc:
        if exc.code != NAMESPACE_EXISTS:
            raise
        await database.command({"collMod": name, "validator": validator})


async def ensure_index(database: Database, collection: str, index: IndexSpec) -> None:
    """Create the index, unless the same one is there."""
    await database[collection].create_index(index.keys, **index.options)


async def drop_index(database: Database, collection: str, index: IndexSpec) -> None:
    """Drop the index, if it is there."""
    try:
        await database[collection].drop_index(index.name)
    except OperationFailure as exc:
        if exc.code not in {NAMESPACE_NOT_FOUND, INDEX_NOT_FOUND}:
            raise


async def drop_collection(database: Database, name: str) -> None:
    """Drop the collection and all that is in it, if it is there."""
    await database.drop_collection(name)
