"""Applies the revisions of declared resources on MongoDB. Each may run again after an interruption."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from backends.ids import utc_now
from backends.mongo.ownership import MOST_RECORDS, RESOURCE_MIGRATIONS, STEPS_DONE, UNDOING
from backends.mongo.resource_collections import collection_of
from migrations.mongo.collection_changes import StepRunner, check_steps, collections
from migrations.mongo.operations import drop_collection, ensure_collection
from migrations.resources.history import newest_state
from migrations.resources.plan import require_same

if TYPE_CHECKING:
    from backends.mongo.collections import CollectionSpec
    from backends.mongo.driver import Database
    from migrations.resources.history import History, ResourceRevision
    from migrations.resources.operations import State


def newest(histories: Sequence[History]) -> dict[str, CollectionSpec]:
    """Return the collections of the newest revisions, and that of items, which a resource may refer to."""
    return collections(newest_state(histories))


def every_form(histories: Sequence[History]) -> list[CollectionSpec]:
    """Return each collection in every form that a step gives it, and those of the newest revisions.

    A resource to which others ever refer has `references` in each form: more fields tell more.
    """
    states = [state for history in histories for state in _states(history.revisions)]
    targets = {field.target for state in states for spec in state.values() for field in spec.references}
    forms = list(newest(histories).values())
    for spec in dict.fromkeys(spec for state in states for spec in state.values()):
        form = collection_of(spec, is_referenced=spec.name in targets)
        forms += [form] if form not in forms else []
    return forms


def names_from(histories: Sequence[History], applied: Mapping[str, str]) -> set[str]:
    """Return the names of the collections that an upgrade may touch, and that of the records."""
    return _names(
        [each for each in history.revisions if each.number >= applied.get(history.name, "")]
        for history in histories
    )


def names_until(histories: Sequence[History], applied: Mapping[str, str]) -> set[str]:
    """Return the names of the collections that a downgrade may touch, and that of the records."""
    return _names(
        [each for each in history.revisions if each.number <= applied.get(history.name, "")]
        for history in histories
    )


def _names(revisions: Iterable[Sequence[ResourceRevision]]) -> set[str]:
    states = (state for each in revisions for state in _states(each))
    return {RESOURCE_MIGRATIONS.name, *(name for state in states for name in state)}


def _states(revisions: Iterable[ResourceRevision]) -> Iterable[State]:
    for revision in revisions:
        yield from (step.after for step in revision.steps)


async def read_applied(
    database: Database, histories: Sequence[History] = (), *, intact: bool = False
) -> dict[str, str]:
    """Return the newest recorded revision of each history.

    Args:
        database: The database.
        histories: The histories with which the records are compared.
        intact: Leave out revisions that an interruption left half applied or half reverted.

    Raises:
        MigrationError: A recorded revision is another one than that of its history.
    """
    records = await database[RESOURCE_MIGRATIONS.name].find({}).sort([("_id", 1)]).to_list(MOST_RECORDS)
    require_same(
        histories, [(str(each["history"]), str(each["number"]), str(each["name"])) for each in records]
    )
    return {
        str(record["history"]): str(record["number"])
        for record in records
        if not intact or UNDOING not in record
    }


async def apply(
    database: Database,
    histories: Sequence[History],
    applied: Mapping[str, str],
    history: History,
    number: str,
) -> None:
    """Apply a revision.

    Its record is marked meanwhile, so that a downgrade also finds what it made, and has the number of the
    steps that are done: the next run goes on with the following one.
    """
    revision, records = history.revision(number), database[RESOURCE_MIGRATIONS.name]
    name = f"{history.name}:{number}"
    key = {"_id": name}
    found = await records.find_one(key)
    done = int(found.get(STEPS_DONE, 0)) if found else 0
    steps = revision.steps[done:]
    await check_steps(database, name, steps, "upgrade")
    await _ensure_records(database)
    record = {"history": history.name, "number": number, "name": revision.summary, "applied_at": utc_now()}
    await records.update_one(key, {"$set": {**record, UNDOING: True, STEPS_DONE: done}}, upsert=True)
    runner = StepRunner(database, name, "upgrade", _others(histories, applied, history))
    for index, step in enumerate(steps, done):
        await runner.run(step)
        await records.update_one(key, {"$set": {STEPS_DONE: index + 1}})
    await records.update_one(key, {"$unset": {UNDOING: "", STEPS_DONE: ""}})


async def revert(
    database: Database,
    histories: Sequence[History],
    applied: Mapping[str, str],
    history: History,
    number: str,
) -> None:
    """Revert a revision and delete its record, which is marked meanwhile.

    If the revision is half applied, the steps that were not begun need not be undone.
    """
    revision, records = history.revision(number), database[RESOURCE_MIGRATIONS.name]
    name = f"{history.name}:{number}"
    key = {"_id": name}
    found = await records.find_one(key) or {}
    begun = int(found.get(STEPS_DONE, len(revision.operations))) + 1
    steps = replace(revision, operations=revision.operations[:begun]).undoing()
    await check_steps(database, name, steps, "downgrade")
    await _ensure_records(database)
    runner = StepRunner(database, name, "downgrade", _others(histories, applied, history))
    for index, step in zip(reversed(range(len(steps))), steps, strict=True):
        # The steps before this one are whole. It is not any more.
        await records.update_one(key, {"$set": {UNDOING: True, STEPS_DONE: index}})
        await runner.run(step)
    await records.delete_one(key)


def _others(histories: Sequence[History], applied: Mapping[str, str], history: History) -> State:
    return {
        name: spec
        for other in histories
        if other.name != history.name
        for name, spec in other.after(applied.get(other.name)).items()
    }


async def _ensure_records(database: Database) -> None:
    """Create the collection of records, or let its validator allow the number of steps."""
    spec = RESOURCE_MIGRATIONS
    reply = await database.command({"listCollections": 1, "filter": {"name": spec.name}})
    options = [found.get("options", {}) for found in reply["cursor"]["firstBatch"]]
    if not options or options[0].get("validator") != spec.validator:
        await ensure_collection(database, spec.name, validator=spec.validator)


async def drop_empty_records(database: Database) -> None:
    """Drop the collection of records if nothing is recorded: a downgrade leaves no trace."""
    if await database[RESOURCE_MIGRATIONS.name].find_one({}) is None:
        await drop_collection(database, RESOURCE_MIGRATIONS.name)
