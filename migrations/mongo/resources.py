"""Applies the revisions of declared resources on MongoDB. Each may run again after an interruption."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from backends.ids import utc_now
from backends.models import Item
from backends.mongo.ownership import MOST_RECORDS, RESOURCE_MIGRATIONS, UNDOING
from backends.mongo.resource_collections import collection_of
from migrations.mongo.operations import drop_collection, ensure_collection, ensure_index
from migrations.resources.operations import AddResource

if TYPE_CHECKING:
    from backends.mongo.collections import CollectionSpec
    from backends.mongo.driver import Database
    from migrations.resources.history import History, ResourceRevision
    from migrations.resources.operations import State


def collections_of(state: State) -> dict[str, CollectionSpec]:
    """Return the collections of a state, and that of items, which a resource may refer to."""
    specs = {"items": Item.__resource__, **state}
    targets = {field.target for spec in specs.values() for field in spec.references}
    return {name: collection_of(spec, is_referenced=name in targets) for name, spec in specs.items()}


def newest(histories: Sequence[History]) -> dict[str, CollectionSpec]:
    """Return the collections of the newest revisions."""
    return collections_of({name: spec for history in histories for name, spec in history.state.items()})


async def read_applied(database: Database, *, intact: bool = False) -> dict[str, str]:
    """Return the newest recorded revision of each history.

    Args:
        database: The database.
        intact: Leave out revisions that an interrupted downgrade left half reverted.
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
    """Apply a revision and record it."""
    revision = _revision(history, number)
    await ensure_collection(database, RESOURCE_MIGRATIONS.name, validator=RESOURCE_MIGRATIONS.validator)
    await _ensure(database, histories, {**applied, history.name: number}, _added(revision))
    record = {"history": history.name, "number": number, "name": revision.summary, "applied_at": utc_now()}
    change = {"$set": record, "$unset": {UNDOING: ""}}
    await database[RESOURCE_MIGRATIONS.name].update_one(
        {"_id": f"{history.name}:{number}"}, change, upsert=True
    )


async def revert(
    database: Database,
    histories: Sequence[History],
    applied: Mapping[str, str],
    history: History,
    number: str,
) -> None:
    """Revert a revision and delete its record, which is marked meanwhile."""
    revision, records = _revision(history, number), database[RESOURCE_MIGRATIONS.name]
    key = {"_id": f"{history.name}:{number}"}
    await records.update_one(key, {"$set": {UNDOING: True}})
    for name in reversed(_added(revision)):
        await drop_collection(database, name)
    index = history.numbers.index(number)
    before = {**applied, history.name: history.numbers[index - 1] if index else "base"}
    await _ensure(database, histories, before, [])
    await records.delete_one(key)
    if await records.find_one({}) is None:
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
    collections = collections_of(state)
    for name in dict.fromkeys([*added, *collections]):
        await ensure_collection(database, name, validator=collections[name].validator)
        if name in added:
            for index in collections[name].indexes:
                await ensure_index(database, name, index)


def _revision(history: History, number: str) -> ResourceRevision:
    return next(each for each in history.revisions if each.number == number)


def _added(revision: ResourceRevision) -> list[str]:
    return [each.spec.name for each in revision.operations if isinstance(each, AddResource)]
