"""Differential test of declarations that change: made-up evolutions, with rows in between.

Every database has the same rows and refuses the same revisions, in the same words, as a model does. Its
schema is that of the new declaration. What can be undone is undone, and applied again. `make test` repeats
the same evolutions, `make differential` makes up new ones.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import AsyncExitStack
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, note, seed, settings
from hypothesis.strategies import integers, lists

from backends import open_backend
from backends.errors import BackendError
from backends.models import User
from backends.models.resources import Resource
from backends.models.resources.values import to_json
from backends.protocols import Backend
from backends.rows.stored import Problem
from backends.rows.walk import RowWalk
from eitherdb_contract.clock import ManualClock
from migrations import MigrationError, open_migrator
from migrations.resources.changes import changes_of
from migrations.resources.checks import apply_all
from migrations.resources.history import History, ResourceRevision, Step, history_of
from migrations.resources.operations import AddResource, State
from migrations.resources.violations import Direction, broken_rule
from tests.conftest import find_provision
from tests.contract.made_up import load
from tests.contract.resource_values import values_of
from tests.contract.test_stored_rows import HASH
from tests.differential.declared import USERS
from tests.differential.evolution_model import Rows, broken, changed
from tests.differential.evolutions import Evolution, evolutions
from tests.differential.systems import START, DeterministicIds
from tests.differential.test_differential import MINUTES, SEED, SHRINKS, pytest_generate_tests
from tests.provision import Provision, Servers

__all__ = ["pytest_generate_tests"]

logger = logging.getLogger(__name__)

EXAMPLES = 20 if MINUTES else 1
NAME = "made_up"
ROWS = 7


class Database:
    """One of the databases under test."""

    def __init__(self, provision: Provision) -> None:
        """Begin without declared resources."""
        self._provision = provision
        self.users: list[User] = []

    async def clean(self) -> None:
        """Delete all rows, and add the users."""
        await self._provision.clean()
        backend = await self._open(())
        self.users = [
            await backend.users.add(new.model_copy(update={"hashed_password": HASH})) for new in USERS
        ]
        await backend.close()

    async def _open(self, classes: Sequence[type[Resource]], *, ids: int = 0) -> Backend:
        clock, source = ManualClock(), DeterministicIds()
        clock.stop()
        clock.now = START
        source.begin(ids)
        return await open_backend(
            self._provision.settings, clock=clock, id_source=source, resources=classes
        )

    async def add(
        self, classes: Sequence[type[Resource]], numbers: Sequence[int], *, step: int
    ) -> list[Any]:
        """Add rows; return the outcomes."""
        backend = await self._open(classes, ids=step)
        try:
            return [await self._add(backend, cls, number) for cls in classes for number in numbers]
        finally:
            await backend.close()

    async def _add(self, backend: Backend, cls: type[Resource], number: int) -> str:
        values: dict[str, Any] = {}
        for place, field in enumerate(cls.__resource__.fields, 1):
            drawn = number // place + 7 * place
            if field.nullable and drawn % 4 == 0:
                values[field.name] = None
            elif field.kind == "reference":
                values[field.name] = await self._target(backend, str(field.target), drawn)
            else:
                possible = values_of(cls, field.name)
                values[field.name] = possible[drawn % min(3 + number % 20, len(possible))]
        owner = self.users[number % len(self.users)].id if cls.__resource__.owned else None
        try:
            added = await backend.resources[cls.__resource__.name].add(cls(**values), owner_id=owner)
        except BackendError as exc:
            return f"{type(exc).__name__}: {exc}"
        return str(added.id)

    async def _target(self, backend: Backend, target: str, number: int) -> str:
        if target == "users":
            return self.users[number % len(self.users)].id
        rows = (await backend.resources[target].list(sort="created_at", limit=3)).data
        return rows[number % len(rows)].id if rows else "0" * 24

    async def read(self, classes: Sequence[type[Resource]]) -> Rows:
        """Check the schema and the form of all rows; return them by resource."""
        backend = await self._open(classes)
        try:
            await backend.check_schema()
            report = await RowWalk(backend, resources=classes).run()
            assert [fault for fault in report.faults if not breaks_rule(fault.problem)] == []
            found: Rows = {}
            for cls in classes:
                rows = (await backend.resources[cls.__resource__.name].list(limit=1000)).data
                found[cls.__resource__.name] = [
                    {name: to_json(value) for name, value in row.fields().items()} for row in rows
                ]
            return found
        finally:
            await backend.close()

    async def lists(self, classes: Sequence[type[Resource]]) -> list[Any]:
        """Return the ids of lists in every order, and of those that a search finds."""
        backend = await self._open(classes)
        found = []
        try:
            for cls in classes:
                rows, spec = backend.resources[cls.__resource__.name], cls.__resource__
                orders = [{"sort": f"{sign}{name}"} for name in spec.sorts for sign in ("", "-")]
                searches: list[dict[str, Any]] = (
                    [{"where": {"q": text}} for text in "bA"] if spec.searched else []
                )
                for arguments in (*orders, *searches):
                    page = await rows.list(**dict[str, Any](arguments))
                    found.append((spec.name, str(arguments), [row.id for row in page.data]))
            return found
        finally:
            await backend.close()

    async def upgrade(self, history: History) -> str:
        """Apply what is missing; return the refusal, or nothing."""
        try:
            await open_migrator(self._provision.settings, [history]).upgrade()
        except MigrationError as exc:
            return str(exc)
        return ""

    async def downgrade(self, history: History, target: str) -> str:
        """Undo revisions; return the refusal, or nothing."""
        try:
            await open_migrator(self._provision.settings, [history]).downgrade(f"{NAME}:{target}")
        except MigrationError as exc:
            return str(exc)
        return ""

    async def check(self, history: History) -> list[str]:
        """Return the differences from the schema of a new database."""
        return await open_migrator(self._provision.settings, [history]).check()

    async def drop(self, state: State) -> None:
        """Drop the declared resources, also if the revisions can't be undone."""
        every = tuple(AddResource(spec) for spec in state.values())
        first = ResourceRevision("0001", NAME, every, {}, state)
        history = History(NAME, Path(), (first, ResourceRevision("0002", NAME, (), state, state)), ())
        await open_migrator(self._provision.settings, [history]).downgrade(f"{NAME}:base")


class Databases:
    """All databases, and the loop in which they are used."""

    def __init__(self, loop: asyncio.AbstractEventLoop, provisions: dict[str, Provision]) -> None:
        """Take the started provisions."""
        self._loop = loop
        self._databases = {name: Database(provision) for name, provision in provisions.items()}
        self.outcomes: Counter[str] = Counter()
        self._state: State = {}

    def run(self, evolution: Evolution, numbers: Sequence[int]) -> None:
        """Run an evolution on every database."""
        note(f"{evolution.before}\n# becomes, by {', '.join(evolution.changes)}:\n{evolution.after}")
        asyncio.run_coroutine_threadsafe(self._run(evolution, numbers), self._loop).result()

    async def _all(self, method: str, *arguments: Any, **keywords: Any) -> Any:
        """Call a method of every database, one after the other, compare the results, and return one.

        Alembic keeps the migration that runs in global variables.
        """
        results = {}
        for name, each in self._databases.items():
            try:
                results[name] = await getattr(each, method)(*arguments, **keywords)
            except BaseException as exc:
                exc.add_note(f"{method} on {name}")
                raise
        first = next(iter(results))
        for name, result in results.items():
            assert result == results[first], f"{method}: {name} differs from {first}"
        return results[first]

    async def _run(self, evolution: Evolution, numbers: Sequence[int]) -> None:
        before, after = load(evolution.before), load(evolution.after)
        first = history_of(NAME, [cls.__resource__ for cls in before])
        history = History(NAME, Path(), first.revisions, tuple(cls.__resource__ for cls in after))
        try:
            operations = tuple(changes_of(history, evolution.given))
        except MigrationError as exc:
            self.outcomes[f"not written: {' '.join(str(exc).split()[-6:])}"] += 1
            return
        second_state = apply_all(operations, first.state)
        revision = ResourceRevision("0002", NAME, operations, first.state, second_state)
        second = History(NAME, Path(), (*first.revisions, revision), history.declared)
        await self._all("clean")
        self._state = first.state
        try:
            assert await self._all("upgrade", first) == ""
            await self._all("add", before, numbers, step=1)
            rows = sorted_rows(await self._all("read", before))
            if await self._is_applied(before, first, second, rows):
                rows = await self._compare(after, second, self._changed(revision.steps, rows))
                await self._all("lists", after)
                await self._undo(before, after, first, second, rows)
                await self._all("add", after if self._state is second.state else before, numbers, step=2)
        finally:
            for each in self._databases.values():
                await each.drop(self._state)

    async def _is_applied(
        self, before: Sequence[type[Resource]], first: History, second: History, rows: Rows
    ) -> bool:
        """Apply the second revision; a refusal is that of the model, and leaves everything as it was."""
        self._state = second.state
        expected = refusal_of(second.revisions[-1].steps, rows, "upgrade")
        found = await self._all("upgrade", second)
        assert found == expected
        self.outcomes["refused" if found else "applied"] += 1
        if found:
            self._state = first.state
            await self._compare(before, first, rows)
        return not found

    async def _undo(
        self,
        before: Sequence[type[Resource]],
        after: Sequence[type[Resource]],
        first: History,
        second: History,
        rows: Rows,
    ) -> None:
        """Undo the second revision and apply it again, if it can be undone."""
        revision = second.revisions[-1]
        try:
            steps = revision.undoing()
            expected = refusal_of(steps, rows, "downgrade")
        except MigrationError as exc:
            steps, expected = [], str(exc)
        found = await self._all("downgrade", second, "0001")
        assert found == expected
        self.outcomes["kept" if found else "undone"] += 1
        if found:
            await self._compare(after, second, rows)
            return
        self._state = first.state
        rows = await self._compare(before, first, self._changed(steps, rows))
        if await self._is_applied(before, first, second, rows):
            await self._compare(after, second, self._changed(revision.steps, rows))

    async def _compare(self, classes: Sequence[type[Resource]], history: History, expected: Rows) -> Rows:
        """Compare the rows with the model's, and the schema with that of a new database."""
        assert await self._all("check", history) == []
        rows = sorted_rows(await self._all("read", classes))
        assert rows == sorted_rows(expected)
        return rows

    def _changed(self, steps: Sequence[Step], rows: Rows) -> Rows:
        users = next(iter(self._databases.values())).users
        return changed(steps, rows, {user.email: user.id for user in users})


def breaks_rule(problem: Problem) -> bool:
    """Return whether a row is unlike what the class allows in a way that no database stores."""
    return "match" in problem.what or "multiple" in problem.what


def sorted_rows(rows: Rows) -> Rows:
    """Return the rows in the order of their ids."""
    return {name: sorted(each, key=lambda row: row["id"]) for name, each in rows.items()}


def refusal_of(steps: Sequence[Step], rows: Rows, direction: Direction) -> str:
    """Return what the databases say about rows that break a rule; nothing if none does."""
    found = broken(steps, rows)
    return str(broken_rule(f"{NAME}:0002", *found, direction)) if found else ""


@pytest.mark.timeout(0 if MINUTES else 600)
async def test_made_up_evolutions_are_the_same_on_every_database(
    names: list[str], servers: Servers, caplog: pytest.LogCaptureFixture
) -> None:
    """Rows, refusals and schemas are equal after any change of any declaration."""
    caplog.set_level(logging.WARNING, "alembic")
    async with AsyncExitStack() as stack:
        provisions = {name: find_provision(name, servers) for name in names}
        for provision in provisions.values():
            await provision.start()
            stack.push_async_callback(provision.stop)
        databases = Databases(asyncio.get_running_loop(), provisions)
        await asyncio.to_thread(run, databases)
        logger.info("evolutions: %s", sorted(databases.outcomes.items()))


def run(databases: Databases) -> None:
    """Run evolutions until the time is over, at least one round."""
    begun = time.monotonic()
    profile = settings(
        phases=[Phase.generate, *([Phase.shrink] if SHRINKS else [])],
        max_examples=EXAMPLES,
        database=None,
        deadline=None,
        report_multiple_bugs=False,
        print_blob=False,
        suppress_health_check=list(HealthCheck),
    )
    numbers = lists(integers(0, 999), min_size=2, max_size=ROWS)
    for number in count():
        try:
            seed(SEED + number)(profile(given(evolutions(), numbers)(databases.run)))()
        except AssertionError as exc:
            exc.add_note(f"DIFFERENTIAL_SEED={SEED + number} repeats it")
            raise
        logger.info("seed %s: %s", SEED + number, sorted(databases.outcomes.items()))
        if time.monotonic() - begun >= MINUTES * 60:
            return
