"""Applies MongoDB's numbered steps and records them in the database."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, cast

from backends.errors import ForeignSchema, RevisionMismatch, SchemaMismatch
from backends.ids import utc_now
from backends.mongo.collections import CollectionSpec
from backends.mongo.drift import differences
from backends.mongo.driver import open_driver
from backends.mongo.errors import connect_errors, translate_errors
from backends.mongo.ownership import NAMES, RESOURCE_MIGRATIONS, UNDOING, Occupancy, read_occupancy
from backends.mongo.schema import COLLECTIONS, MIGRATIONS
from migrations import Revision, resolve_target
from migrations.mongo import resources
from migrations.mongo.lock import migration_lock
from migrations.resources.plan import behind, split_target, to_apply, to_revert
from migrations.waiting import LOCK_WAIT_SECONDS

if TYPE_CHECKING:
    from backends.mongo.driver import Database
    from config import Settings
    from migrations.resources.history import History

STEPS = Path(__file__).parent / "steps"

_TEMPLATE = '''"""{message}."""

from __future__ import annotations

from backends.mongo.driver import Database
from migrations.mongo.steps import {before} as before

FIELDS = before.FIELDS


async def upgrade(database: Database) -> None:
    """Describe the change. The step may run again after an interruption."""


async def downgrade(database: Database) -> None:
    """Describe how the change is reverted, and which data is lost."""
'''


class Step(Protocol):
    """A module of `migrations.mongo.steps`."""

    __doc__: str | None
    FIELDS: dict[str, dict[str, Any]]
    """The fields of every collection after the step."""

    async def upgrade(self, database: Database) -> None:
        """Apply the step."""

    async def downgrade(self, database: Database) -> None:
        """Revert the step."""


class MongoMigrator:
    """`migrations.Migrator` with one record per step in `schema_migrations`."""

    def __init__(self, settings: Settings, histories: Sequence[History] = ()) -> None:
        """Store the settings and the revisions of declared resources; the methods connect."""
        self._settings = settings
        self._histories = histories

    async def upgrade(self, target: str = "head") -> list[str]:
        """See `migrations.Migrator`. A step is recorded when it finishes; until then it runs again."""
        applied = []

        def names(_current: str | None, declared: Mapping[str, str]) -> Iterable[str]:
            """Return all collections but those that only older revisions have."""
            return {*NAMES, *resources.names_from(self._histories, declared)}

        async with self._locked(names) as (database, found):
            numbers = list(_steps())
            declared = await resources.read_applied(database, self._histories, intact=True)
            missing = to_apply(target, self._histories, declared)
            own = "head" if split_target(target, self._histories)[0] else target
            number = resolve_target(own, numbers, found.intact)
            for step in numbers:
                if number != "base" and (found.intact or "") < step <= number:
                    module = _load(step)
                    await module.upgrade(database)
                    record = {"name": _summary(module), "applied_at": utc_now()}
                    # An interrupted downgrade leaves its record, with a mark.
                    change = {"$set": record, "$unset": {UNDOING: ""}}
                    await database[MIGRATIONS].update_one({"_id": step}, change, upsert=True)
                    applied.append(step)
            for history, each in missing:
                await resources.apply(database, self._histories, declared, history, each)
                declared[history.name] = each
                applied.append(f"{history.name}:{each}")
        return applied

    async def downgrade(self, target: str) -> list[str]:
        """See `migrations.Migrator`. The record of a step is deleted after the step is reverted.

        If it is interrupted, a mark stays in the record. A later `downgrade` finishes the work; `upgrade`
        applies the step again.
        """
        reverted = []

        def names(current: str | None, declared: Mapping[str, str]) -> Iterable[str] | None:
            """Return the collections of the applied revisions; later ones' names don't matter."""
            made = resources.names_until(self._histories, declared)
            return None if current is None else {*_load(current).FIELDS, *made}

        async with self._locked(names) as (database, found):
            numbers, current = list(_steps()), found.applied
            declared = await resources.read_applied(database, self._histories)
            for history, each in to_revert(target, self._histories, declared):
                await resources.revert(database, self._histories, declared, history, each)
                declared = await resources.read_applied(database)
                reverted.append(f"{history.name}:{each}")
            await resources.drop_empty_records(database)
            if split_target(target, self._histories)[0]:
                return reverted
            number = resolve_target(target, numbers, current)
            for step in reversed(numbers):
                if step <= (current or "") and (number == "base" or step > number):
                    # The mark identifies EitherDB's history even after all collections are dropped.
                    await database[MIGRATIONS].update_one({"_id": step}, {"$set": {UNDOING: True}})
                    await _load(step).downgrade(database)
                    await database[MIGRATIONS].delete_one({"_id": step})
                    reverted.append(step)
        return reverted

    async def current(self) -> str | None:
        """See `migrations.Migrator`."""
        async with self._database() as database:
            found = await self._occupancy(database)
            if found.applied is None:
                found.refuse_foreign(among=self._newest_names())
            return found.applied

    async def applied(self) -> dict[str, str]:
        """See `migrations.Migrator`."""
        async with self._database() as database:
            return await self._read_declared(database, await self._occupancy(database), intact=True)

    async def same_applied(self) -> dict[str, str]:
        """Return what `applied` does, if each record is of the revision that its history has.

        Raises:
            MigrationError: One is of another revision.
        """
        async with self._database() as database:
            found = await self._occupancy(database)
            return await self._read_declared(database, found, self._histories, intact=True)

    def history(self) -> list[Revision]:
        """See `migrations.Migrator`."""
        return [Revision(number, _summary(_load(number))) for number in _steps()]

    async def check(self) -> list[str]:
        """See `migrations.Migrator`."""
        async with self._database() as database:
            newest = list(_steps())[-1]
            try:
                found = await self._known(database)
                found.refuse_foreign(among=self._newest_names())
            except (ForeignSchema, SchemaMismatch) as exc:
                return [str(exc)]
            if found.intact != newest:
                return [str(RevisionMismatch(found.intact, newest))]
            late = behind(
                self._histories, await resources.read_applied(database, self._histories, intact=True)
            )
            if late:
                return late
            specs = {**{spec.name: spec for spec in COLLECTIONS}, **resources.newest(self._histories)}
            return [difference for spec in specs.values() for difference in await _compare(database, spec)]

    async def revision(self, message: str) -> Path:
        """See `migrations.Migrator`. The file is a template: MongoDB's steps are written by hand."""
        await self.current()  # raises for another application's database, as on SQL
        newest, before = list(_steps().items())[-1]
        number = int(newest) + 1
        slug = re.sub(r"\W+", "_", message.lower()).strip("_")
        path = STEPS / f"m{number:04}_{slug}.py"
        summary = message.strip().rstrip(".").replace("\\", r"\\").replace('"""', r"\"\"\"")
        path.write_text(_TEMPLATE.format(message=summary, before=before))
        return path

    async def _read_declared(
        self,
        database: Database,
        found: Occupancy,
        histories: Sequence[History] = (),
        *,
        intact: bool = False,
    ) -> dict[str, str]:
        """Return the newest recorded revision of each history of declared resources."""
        if RESOURCE_MIGRATIONS.name not in found.recognised:
            return {}
        return await resources.read_applied(database, histories, intact=intact)

    async def _occupancy(self, database: Database) -> Occupancy:
        return await read_occupancy(database, resources.every_form(self._histories))

    def _newest_names(self) -> set[str]:
        return {*NAMES, *resources.newest(self._histories), RESOURCE_MIGRATIONS.name}

    async def _known(self, database: Database) -> Occupancy:
        """Return the occupied names, with the recorded steps.

        Raises:
            ForeignSchema: The database has another application's history.
            SchemaMismatch: The database has steps of a newer EitherDB.
        """
        found, numbers = await self._occupancy(database), list(_steps())
        if found.applied is not None and found.applied not in numbers:
            raise RevisionMismatch(found.applied, numbers[-1])
        return found

    @asynccontextmanager
    async def _database(self) -> AsyncIterator[Database]:
        with connect_errors():
            driver = open_driver(self._settings, command_timeout=False)
        try:
            with translate_errors():
                yield driver.database
        finally:
            await driver.close()

    @asynccontextmanager
    async def _locked(
        self, names: Callable[[str | None, Mapping[str, str]], Iterable[str] | None]
    ) -> AsyncIterator[tuple[Database, Occupancy]]:
        """Hold the lock; yield the database and its occupied names.

        Args:
            names: Returns the names that another application must not use, given the newest applied step
                and the newest recorded revision of each history of declared resources; None for all.
                If another application uses one, nothing is written, not even the lock.
        """

        async def check_names() -> Occupancy:
            found = await self._known(database)
            declared = await self._read_declared(database, found)
            found.refuse_foreign(among=names(found.applied, declared))
            return found

        async with self._database() as database:
            await check_names()
            async with migration_lock(database, wait_seconds=LOCK_WAIT_SECONDS):
                yield database, await check_names()


def _steps() -> dict[str, str]:
    """Return the module name of each step by number, oldest first."""
    names = sorted(path.stem for path in STEPS.glob("m[0-9][0-9][0-9][0-9]_*.py"))
    return {name[1:5]: name for name in names}


def _load(number: str) -> Step:
    return cast("Step", import_module(f"migrations.mongo.steps.{_steps()[number]}"))


def _summary(step: Step) -> str:
    return (step.__doc__ or "").partition("\n")[0].rstrip(".")


async def _compare(database: Database, spec: CollectionSpec) -> list[str]:
    """Compare a collection with its declaration; return one sentence per difference."""
    reply = await database.command({"listCollections": 1, "filter": {"name": spec.name}})
    found = reply["cursor"]["firstBatch"]
    if not found:
        return [f"the collection {spec.name} is missing"]
    indexes = await database[spec.name].index_information()
    return differences(spec, found[0].get("options", {}), indexes)


def open_migrator(settings: Settings, histories: Sequence[History] = ()) -> MongoMigrator:
    """See `migrations.open_migrator`."""
    return MongoMigrator(settings, histories)


async def read_applied(settings: Settings, histories: Sequence[History]) -> dict[str, str]:
    """See `migrations.read_applied`."""
    return await open_migrator(settings, histories).same_applied()
