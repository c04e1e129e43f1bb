"""Applies the revisions of declared resources on MongoDB. Each may run again after an interruption."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from backends.ids import utc_now
from backends.models import Item
from backends.mongo.ownership import MOST_RECORDS, RESOURCE_MIGRATIONS, UNDOING
from backends.mongo.resource_collections import collections_of
from migrations.mongo.operations import drop_collection, ensure_collection, ensure_collection_of
from migrations.resources.history import newest_state

if TYPE_CHECKING:
    from backends.mongo.collections import CollectionSpec
    from backends.mongo.driver import Database
    from migrations.resources.history import History
    from migrations.resources.operations import State


def newest(histories: Sequence[History]) -> dict[str, CollectionSpec]:
    """Return the collections of the newest revisions, and that of items, which a resource may refer to."""
    return _collections(newest_state(histories))


def _collections(state: State) -> dict[str, CollectionSpec]:
    return {each.name: each for each in collections_of({"items": Item.__resource__, **state}.values())}


def collections_made(histories: Sequence[History], applied: Mapping[str, str]) -> set[str]:
    """Return the names of the collections that the applied revisions created, and that of the records."""
    names = {name for history in histories for name in history.after(applied.get(history.name))}
    return {*names, RESOURCE_MIGRATIONS.name}


async def read_applied(database: Database, *, intact: bool = False) -> dict[str, str]:
    """Return the newest recorded revision of each history.

    Args:
        database: The database.
        intact: Leave out revisions that an interruption left half applied or half reverted.
    """
    query = {UNDOING: {"$exists": False}} if intact else {}
    records = await database[RESOURCE_MIGRATIONS.name].find(query).sort([("_id", 1)]).to_list(MOST_RECORDS)
    return {str(record["history"]): str(record["number"]) for record in records}


async def apply(
    database: Database,
    histories: Sequence[History],
    applied: Mapping[str, str],
    history: History,
    number: str,
) -> None:
    """Apply a revision. Its record is marked meanwhile, so that a downgrade also finds what it made."""
    revision, records = history.revision(number), database[RESOURCE_MIGRATIONS.name]
    await ensure_collection(database, RESOURCE_MIGRATIONS.name, validator=RESOURCE_MIGRATIONS.validator)
    key = {"_id": f"{history.name}:{number}"}
    record = {"history": history.name, "number": number, "name": revision.summary, "applied_at": utc_now()}
    await records.update_one(key, {"$set": {**record, UNDOING: True}}, upsert=True)
    await _ensure(database, histories, {**applied, history.name: number}, revision.added)
    await records.update_one(key, {"$unset": {UNDOING: ""}})


async def revert(
    database: Database,
    histories: Sequence[History],
    applied: Mapping[str, str],
    history: History,
    number: str,
) -> None:
    """Revert a revision and delete its record, which is marked meanwhile."""
    revision, records = history.revision(number), database[RESOURCE_MIGRATIONS.name]
    key = {"_id": f"{history.name}:{number}"}
    await records.update_one(key, {"$set": {UNDOING: True}})
    for name in reversed(revision.added):
        await drop_collection(database, name)
    index = history.numbers.index(number)
    before = {**applied, history.name: history.numbers[index - 1] if index else "base"}
    await _ensure(database, histories, before, [])
    await records.delete_one(key)


async def drop_empty_records(database: Database) -> None:
    """Drop the collection of records if nothing is recorded: a downgrade leaves no trace."""
    if await database[RESOURCE_MIGRATIONS.name].find_one({}) is None:
        await drop_collection(database, RESOURCE_MIGRATIONS.name)


async def _ensure(
    database: Database, histories: Sequence[History], applied: Mapping[str, str], added: Sequence[str]
) -> None:
    """Create the added collections, and set the validators of those that are or were referred to."""
    state: State = {
        name: spec
        for history in histories
        for name, spec in history.after(applied.get(history.name)).items()
    }
    for name, collection in _collections(state).items():
        if name in added:
            await ensure_collection_of(database, collection)
        else:
            await ensure_collection(database, name, validator=collection.validator)
