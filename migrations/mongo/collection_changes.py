"""Applies a step of a revision to the collections: `docs/adr/0026-declarations-that-change.md`.

Each step may run again after an interruption, and a step back may start where a step forward stopped.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pymongo.errors import DuplicateKeyError, PyMongoError

from backends.errors import BackendError
from backends.models import Item
from backends.mongo.resource_collections import collections_of
from migrations import MigrationError
from migrations.mongo.fills import Fills, fold_all, loose_validator, removals, run_all
from migrations.mongo.operations import (
    drop_collection,
    drop_index,
    ensure_collection,
    ensure_collection_of,
    ensure_index,
    replace_index,
)
from migrations.mongo.resource_rules import check_rules, find_broken
from migrations.resources.existing import existing_rules
from migrations.resources.own_operations import Run
from migrations.resources.violations import NOTHING_CHANGED, Direction, broken_rule

if TYPE_CHECKING:
    from collections.abc import Sequence

    from backends.mongo.collections import CollectionSpec
    from backends.mongo.driver import Database
    from migrations.resources.history import Step
    from migrations.resources.operations import State


def collections(state: State) -> dict[str, CollectionSpec]:
    """Return the collections of resources, and that of items, to which a resource may refer."""
    return {each.name: each for each in collections_of({"items": Item.__resource__, **state}.values())}


async def check_steps(
    database: Database, revision: str, steps: Sequence[Step], direction: Direction
) -> None:
    """Check the documents, before anything changes.

    Raises:
        MigrationError: Documents break a rule, or can't get a value.
    """
    await check_rules(database, revision, steps, direction)
    for step in steps:
        await Fills(database, step, revision, direction).check()


class StepRunner:
    """Applies steps of one revision."""

    def __init__(self, database: Database, revision: str, direction: Direction, others: State) -> None:
        """Take the database and the revision.

        Args:
            database: The database.
            revision: `library:0003`, for messages.
            direction: The command to repeat after an error.
            others: The specifications of the other histories.
        """
        self._database, self._revision = database, revision
        self._direction, self._others = direction, others
        self._has_run = False

    async def run(self, step: Step) -> None:
        """Change the collections from the state before the step to the one after it.

        Raises:
            MigrationError: Documents that were written since `check_steps` break a rule.
        """
        if isinstance(step.operation, Run):
            await self._run_own(step.operation)
        elif not await self._change_collections(step):
            # No validator knows these rules: bounds of times and dates.
            await self._refuse_broken(step)
        self._has_run = True

    async def _change_collections(self, step: Step) -> bool:
        """Return whether a collection is declared anew."""
        before = collections({**self._others, **step.before})
        after = collections({**self._others, **step.after})
        for name, collection in after.items():
            if name not in before:
                await ensure_collection_of(self._database, collection)
            elif collection != before[name]:
                await self._change(step, before[name], collection)
        for name in sorted(before.keys() - after.keys()):
            await drop_collection(self._database, name)
        return before != after

    async def _run_own(self, operation: Run) -> None:
        try:
            await operation.mongo(self._database)
        except (BackendError, MigrationError, PyMongoError):
            raise
        except Exception as exc:  # it may raise anything
            line = (str(exc).splitlines() or [""])[0]
            raise MigrationError(
                f"revision {self._revision}: its own operation failed: {type(exc).__name__}: {line}"
            ) from exc

    async def _change(self, step: Step, before: CollectionSpec, after: CollectionSpec) -> None:
        database, name, revision = self._database, after.name, self._revision
        fills = Fills(database, step, revision, self._direction)
        given, gone, folded = fills.of(name), removals(before, after), fills.folded(name)
        is_validated_anew = before.validator != after.validator
        if is_validated_anew and (given or gone or folded):
            await ensure_collection(database, name, validator=loose_validator(before, after))
        # A value that is taken away must not count as a second null.
        for index in before.indexes:
            if index.unique and index.name not in _names(after):
                await drop_index(database, name, index)
        await run_all(database, name, given, revision)
        await fold_all(database, name, folded, revision)
        await self._add_indexes(step, before, after)
        # Servers of the revision before read these values, so they go last.
        await run_all(database, name, gone, revision)
        if is_validated_anew:
            await ensure_collection(database, name, validator=after.validator)
            await self._check_again(step, before)
        # What was written before the validator changed. Nothing is added to it now.
        while await run_all(
            database, name, [each for each in (*given, *gone) if each.is_required], revision
        ):
            pass
        # Servers of the revision before go on adding documents with null in a field that allows it.
        await run_all(database, name, [each for each in given if not each.is_required], revision)
        await fold_all(database, name, folded, revision)
        await self._check_targets(fills, before, after)
        for index in after.indexes:
            if index.name in _names(before) and index not in before.indexes:
                await replace_index(database, name, index)
        for index in before.indexes:
            if index.name not in _names(after):
                await drop_index(database, name, index)

    async def _add_indexes(self, step: Step, before: CollectionSpec, after: CollectionSpec) -> None:
        """Create the indexes whose names are new."""
        for index in after.indexes:
            if index.name not in _names(before):
                try:
                    await ensure_index(self._database, after.name, index)
                except DuplicateKeyError:
                    await self._refuse_broken(step)
                    raise

    async def _check_again(self, step: Step, before: CollectionSpec) -> None:
        """Check the rules once more, now that the validator refuses documents that break them."""
        try:
            await self._refuse_broken(step)
        except MigrationError:
            await ensure_collection(self._database, before.name, validator=before.validator)
            raise

    async def _check_targets(self, fills: Fills, before: CollectionSpec, after: CollectionSpec) -> None:
        """Check what documents got a reference to, now that all of them have it."""
        try:
            await fills.check_targets(after.name)
        except MigrationError:
            loose = loose_validator(before, after)
            await ensure_collection(self._database, after.name, validator=loose)
            await run_all(self._database, after.name, fills.taken_back(after.name), self._revision)
            raise

    async def _refuse_broken(self, step: Step) -> None:
        for rule, spec in existing_rules([step]):
            if ids := await find_broken(self._database, rule, spec):
                changed = "the operations before are applied" if self._has_run else NOTHING_CHANGED
                raise broken_rule(self._revision, rule, ids, self._direction, changed=changed)


def _names(collection: CollectionSpec) -> set[str]:
    return {index.name for index in collection.indexes}
