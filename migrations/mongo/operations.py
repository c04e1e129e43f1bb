"""The operations of steps; each one is idempotent."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

from pymongo.errors import ExecutionTimeout, OperationFailure

from backends.errors import Conflict
from backends.mongo.collections import CollectionSpec, IndexSpec
from backends.mongo.drift import is_same_index
from backends.mongo.driver import Database
from migrations.waiting import LOCK_WAIT_SECONDS

NAMESPACE_EXISTS = 48
NAMESPACE_NOT_FOUND = 26
INDEX_NOT_FOUND = 27

LOCK_MILLISECONDS = 1_000
"""How long a collection's exclusive lock is waited for at once: meanwhile, all writes wait behind it."""

PAUSE_SECONDS = 0.5


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
        change = {"collMod": name, "validator": validator, "maxTimeMS": LOCK_MILLISECONDS}
        await _in_attempts(name, lambda: database.command(change))


async def _in_attempts(name: str, change: Callable[[], Awaitable[object]]) -> None:
    """Run a command that needs the exclusive lock of a collection and ends early without it.

    The lock is not free while a transaction has written to the collection. Writes go on between attempts.

    Raises:
        Conflict: The lock was not free within the timeout.
    """
    loop = asyncio.get_running_loop()
    deadline = loop.time() + LOCK_WAIT_SECONDS
    while True:
        try:
            await change()
        except ExecutionTimeout as exc:
            if loop.time() > deadline:
                raise Conflict(
                    f"the collection {name} stayed locked for {LOCK_WAIT_SECONDS:.0f} seconds by a "
                    "transaction, which currentOp shows"
                ) from exc
            await asyncio.sleep(PAUSE_SECONDS)
        else:
            return


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
    documents = database[collection]
    try:
        await _in_attempts(
            collection, lambda: documents.drop_index(index.name, maxTimeMS=LOCK_MILLISECONDS)
        )
    except OperationFailure as exc:
        if exc.code not in {NAMESPACE_NOT_FOUND, INDEX_NOT_FOUND}:
            raise


async def drop_collection(database: Database, name: str) -> None:
    """Drop the collection and its documents if it exists."""
    await database.drop_collection(name)
