"""The operations of steps; each one is idempotent."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from pymongo.errors import OperationFailure

from backends.mongo.collections import CollectionSpec, IndexSpec
from backends.mongo.drift import is_same_index
from backends.mongo.driver import Database

NAMESPACE_EXISTS = 48
NAMESPACE_NOT_FOUND = 26
INDEX_NOT_FOUND = 27


def document_validator(fields: dict[str, Any]) -> dict[str, Any]:
    """Return a validator that requires every field, null included, and allows no other."""
    return {
        "$jsonSchema": {
            "bsonType": "object",
            "required": sorted(fields),
            "properties": fields,
            "additionalProperties": False,
        }
    }


async def ensure_collection(database: Database, name: str, *, validator: dict[str, Any]) -> None:
    """Create the collection, or set the validator of an existing one."""
    try:
        # Without check_exists the server decides: the driver's check has a race and raises another error.
        await database.create_collection(name, validator=validator, check_exists=False)
    except OperationFailure as exc:
        if exc.code != NAMESPACE_EXISTS:
            raise
        await database.command({"collMod": name, "validator": validator})


async def ensure_index(database: Database, collection: str, index: IndexSpec) -> None:
    """Create the index unless it exists."""
    await database[collection].create_index(index.keys, **index.options)


async def ensure_collection_of(database: Database, spec: CollectionSpec) -> None:
    """Create a collection with its validator and its indexes; see the operations above."""
    await ensure_collection(database, spec.name, validator=spec.validator)
    for index in spec.indexes:
        await ensure_index(database, spec.name, index)


async def replace_index(database: Database, collection: str, index: IndexSpec) -> None:
    """Create the index, in place of one with its name and another definition.

    Meanwhile a unique index with the same keys stands in for both, so that uniqueness holds throughout.
    """
    stand_in = replace(index, only={**(index.only or {}), "version": {"$gte": 0}}, suffix="_new")
    found = await database[collection].index_information()
    if index.name in found and not is_same_index(index, found[index.name]):
        if index.unique:
            if stand_in.name in found and not is_same_index(stand_in, found[stand_in.name]):
                await drop_index(database, collection, stand_in)
            await ensure_index(database, collection, stand_in)
        await drop_index(database, collection, index)
    await ensure_index(database, collection, index)
    if index.unique:
        await drop_index(database, collection, stand_in)


async def drop_index(database: Database, collection: str, index: IndexSpec) -> None:
    """Drop the index if it exists."""
    try:
        await database[collection].drop_index(index.name)
    except OperationFailure as exc:
        if exc.code not in {NAMESPACE_NOT_FOUND, INDEX_NOT_FOUND}:
            raise


async def drop_collection(database: Database, name: str) -> None:
    """Drop the collection and its documents if it exists."""
    await database.drop_collection(name)
