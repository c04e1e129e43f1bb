"""Applies the numbered steps and records them in the database."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, cast

from backends.errors import SchemaMismatch
from backends.ids import utc_now
from backends.mongo.driver import open_driver
from backends.mongo.errors import connect_errors, translate_errors
from backends.mongo.schema import COLLECTIONS, MIGRATIONS, CollectionSpec
from migrations import Revision, resolve_target
from migrations.mongo.lock import migration_lock

if TYPE_CHECKING:
    from backends.mongo.driver import Database
    from config import Settings

STEPS = Path(__file__).parent / "steps"
LOCK_WAIT_SECONDS = 600.0

_TEMPLATE = '''"""{message}."""

from __future__ import annotations

from backends.mongo.driver import Database
from migrations.mongo.steps import {before} as before

FIELDS = before.FIELDS


async def upgrade(database: Database) -> None:
    """Say what changes. It may be run again after it was interrupted anywhere."""


async def downgrade(database: Database) -> None:
    """Say how it is undone, and what is lost."""
'''


class Step(Protocol):
    """A module of `migrations.mongo.steps`."""

    __doc__: str | None

    async def upgrade(self, database: Database) -> None:
        """Change the schema."""

    async def downgrade(self, database: Database) -> None:
        """Change it back."""


class MongoMigrator:
    """`migrations.Migrator` with a record a step in `schema_migrations`."""

    def __init__(self, settings: Settings) -> None:
        """Remember the settings; nothing connects yet."""
        self._settings = settings

    async def upgrade(self, target: str = "head") -> list[str]:
        """See `migrations.Migrator`. A step is recorded when it is done; until then it is run again."""
        applied = []
        async with self._locked() as database:
            current, numbers = await self._known_revision(database), list(_steps())
            number = resolve_target(target, numbers, current)
            for step in numbers:
                if number != "base" and (current or "") < step <= number:
                    module = _load(step)
                    await module.upgrade(database)
                    record = {"_id": step, "name": _summary(module), "applied_at": utc_now()}
                    await database[MIGRATIONS].insert_one(record)
                    applied.append(step)
        return applied

    async def downgrade(self, target: str) -> list[str]:
        """See `migrations.Migrator`."""
        undone = []
        async with self._locked() as database:
            current, numbers = await self._known_revision(database), list(_steps())
            number = resolve_target(target, numbers, current)
            for step in reversed(numbers):
                if step <= (current or "") and (number == "base" or step > number):
                    await _load(step).downgrade(database)
                    await database[MIGRATIONS].delete_one({"_id": step})
                    undone.append(step)
        return undone

    async def current(self) -> str | None:
        """See `migrations.Migrator`."""
        async with self._database() as database:
            return await _applied_revision(database)

    def history(self) -> list[Revision]:
        """See `migrations.Migrator`."""
        return [Revision(number, _summary(_load(number))) for number in _steps()]

    async def check(self) -> list[str]:
        """See `migrations.Migrator`."""
        async with self._database() as database:
            current, newest = await _applied_revision(database), list(_steps())[-1]
            if current != newest:
                return [str(SchemaMismatch(current, newest))]
            return [difference for spec in COLLECTIONS for difference in await _compare(database, spec)]

    async def revision(self, message: str) -> Path:
        """See `migrations.Migrator`. MongoDB's steps are written by hand, from a template."""
        newest, before = list(_steps().items())[-1]
        number = int(newest) + 1
        slug = re.sub(r"\W+", "_", message.lower()).strip("_")
        path = STEPS / f"m{number:04}_{slug}.py"
        summary = message.strip().rstrip(".").replace("\\", r"\\").replace('"""', r"\"\"\"")
        path.write_text(_TEMPLATE.format(message=summary, before=before))
        return path

    async def _known_revision(self, database: Database) -> str | None:
        current, numbers = await _applied_revision(database), list(_steps())
        if current is not None and current not in numbers:
            raise SchemaMismatch(current, numbers[-1])
        return current

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
    async def _locked(self) -> AsyncIterator[Database]:
        async with (
            self._database() as database,
            migration_lock(database, wait_seconds=LOCK_WAIT_SECONDS),
        ):
            yield database


def _steps() -> dict[str, str]:
    """Map each step's number to its module's name, oldest first."""
    names = sorted(path.stem for path in STEPS.glob("m[0-9][0-9][0-9][0-9]_*.py"))
    return {name[1:5]: name for name in names}


def _load(number: str) -> Step:
    return cast("Step", import_module(f"migrations.mongo.steps.{_steps()[number]}"))


def _summary(step: Step) -> str:
    return (step.__doc__ or "").partition("\n")[0].rstrip(".")


async def _applied_revision(database: Database) -> str | None:
    newest = await database[MIGRATIONS].find({}).sort([("_id", -1)]).limit(1).to_list(1)
    return str(newest[0]["_id"]) if newest else None


async def _compare(database: Database, spec: CollectionSpec) -> list[str]:
    """Compare a collection with what is declared; a sentence a difference."""
    reply = await database.command({"listCollections": 1, "filter": {"name": spec.name}})
    found = reply["cursor"]["firstBatch"]
    if not found:
        return [f"the collection {spec.name} is missing"]
    differences = []
    options = found[0].get("options", {})
    if options.get("validator") != spec.validator:
        differences.append(f"the validator of {spec.name} differs from the declared one")
    if (options.get("validationLevel", "strict"), options.get("validationAction", "error")) != (
        "strict",
        "error",
    ):
        differences.append(f"the validator of {spec.name} does not refuse every bad document")
    indexes = await database[spec.name].index_information()
    actual = {
        name: {key: value for key, value in info.items() if key not in {"v", "ns"}}
        for name, info in indexes.items()
        if name != "_id_"
    }
    declared = {index.name: _as_information(index.keys, index.options) for index in spec.indexes}
    for name in sorted(actual.keys() | declared.keys()):
        if name not in actual:
            differences.append(f"the index {name} of {spec.name} is missing")
        elif name not in declared:
            differences.append(f"the index {name} of {spec.name} is not declared")
        elif actual[name] != declared[name]:
            differences.append(f"the index {name} of {spec.name} differs: {actual[name]}")
    return differences


def _as_information(keys: tuple[tuple[str, int], ...], options: dict[str, object]) -> dict[str, object]:
    """Say it as the driver's `index_information` does."""
    return {"key": list(keys)} | {name: value for name, value in options.items() if name != "name"}


def open_migrator(settings: Settings) -> MongoMigrator:
    """See `migrations.open_migrator`."""
    return MongoMigrator(settings)
