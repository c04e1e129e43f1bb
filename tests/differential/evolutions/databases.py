"""A database under test: its rows, its revisions, and what stops them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import replace
from typing import Any, Literal, TypeAlias

from backends import open_backend
from backends.errors import BackendError, NotFound
from backends.models import Item
from backends.models.resources import FieldSpec, Resource, ResourceSpec
from backends.models.resources.values import to_json
from backends.protocols import Backend
from backends.rows.stored import Problem
from backends.rows.walk import RowWalk
from eitherdb_contract.clock import ManualClock
from migrations import MigrationError, open_migrator
from migrations.resources.history import History, history_of
from migrations.resources.operations import State
from tests.contract.resource_values import values_of
from tests.contract.test_stored_rows import HASH
from tests.differential.declared import USERS
from tests.differential.evolutions.made_up import NAME
from tests.differential.evolutions.model import Rows
from tests.differential.evolutions.schemas import Definitions, definitions_in, drop_declared
from tests.differential.evolutions.stops import Stop, stopped
from tests.differential.systems import START, DeterministicIds
from tests.provision import Provision

Way: TypeAlias = Literal["upgrade", "downgrade"]

STOPPED = "stopped"


def user_ids() -> list[str]:
    """Return the ids of the users, which are the same on every database."""
    ids = DeterministicIds()
    return [ids() for _ in USERS]


class Database:
    """A database with made-up resources, and another one in which they are declared afresh."""

    def __init__(self, provision: Provision) -> None:
        """Take a provision; `start` starts it."""
        self._provision = provision
        self._stack = AsyncExitStack()
        self._items: list[str] = []

    def prepares(self, *, are_large: bool) -> bool:
        """Whether what is done to large tables before the transaction stays after an interruption."""
        return are_large and self._provision.settings.db_backend == "postgres"

    def is_transactional(self, *, are_large: bool) -> bool:
        """Whether an interrupted run leaves nothing."""
        return self._provision.settings.db_backend != "mongo" and not self.prepares(are_large=are_large)

    async def start(self) -> None:
        """Start the server, and make the second database."""
        await self._provision.start()
        self._stack.push_async_callback(self._provision.stop)
        self._fresh = await self._stack.enter_async_context(self._provision.empty_database())
        await open_migrator(self._fresh).upgrade()

    async def stop(self) -> None:
        """Stop what was started."""
        await self._stack.aclose()

    async def clean(self) -> None:
        """Drop the declared resources, and add users and items to refer to."""
        await drop_declared(self._provision.settings)
        await self._provision.clean()
        async with self._opened(()) as backend:
            for new in USERS:
                await backend.users.add(new.model_copy(update={"hashed_password": HASH}))
            items = [
                await backend.items.add(Item(title=title), owner_id=user_ids()[1]) for title in ("a", "b")
            ]
        self._items = [item.id for item in items]

    @asynccontextmanager
    async def _opened(self, classes: Sequence[type[Resource]], *, ids: int = 0) -> AsyncIterator[Backend]:
        clock, source = ManualClock(), DeterministicIds()
        clock.stop()
        clock.now = START
        source.begin(ids)
        backend = await open_backend(
            self._provision.settings, clock=clock, id_source=source, resources=classes
        )
        try:
            yield backend
        finally:
            await backend.close()

    async def add(
        self, classes: Sequence[type[Resource]], numbers: Sequence[int], *, step: int
    ) -> list[str]:
        """Add rows, of which some break a rule; return their ids, or the errors."""
        async with self._opened(classes, ids=step) as backend:
            return [await self._add(backend, cls, number) for cls in classes for number in numbers]

    async def _add(self, backend: Backend, cls: type[Resource], number: int) -> str:
        values: dict[str, Any] = {}
        for place, field in enumerate(cls.__resource__.fields, 1):
            drawn = number // place + 7 * place
            if field.nullable and drawn % 4 == 0:
                values[field.name] = None
            elif field.kind == "reference":
                values[field.name] = await self._target(backend, str(field.target), drawn)
            else:
                # Rows with the same values, and rows with those at the ends of the bounds.
                possible = values_of(cls, field.name)[: 3 if drawn % 3 == 0 else None]
                values[field.name] = possible[drawn % len(possible)]
        owner = user_ids()[number % len(USERS)] if cls.__resource__.owned else None
        try:
            added = await backend.resources[cls.__resource__.name].add(cls(**values), owner_id=owner)
        except BackendError as exc:
            return f"{type(exc).__name__}: {exc}"
        return str(added.id)

    async def delete(self, classes: Sequence[type[Resource]], resource: str, ids: Sequence[str]) -> str:
        """Delete rows; return the error, or nothing."""
        async with self._opened(classes) as backend:
            try:
                for each in ids:
                    with suppress(NotFound):  # It referred to one of the others.
                        await backend.resources[resource].delete(each)
            except BackendError as exc:
                return f"{type(exc).__name__}: {exc}"
        return ""

    async def _target(self, backend: Backend, target: str, number: int) -> str:
        if target in {"users", "items"}:
            ids = user_ids() if target == "users" else self._items
            return ids[number % len(ids)]
        rows = (await backend.resources[target].list(sort="created_at", limit=3)).data
        return rows[number % len(rows)].id if rows else "0" * 24

    async def read(self, classes: Sequence[type[Resource]]) -> Rows:
        """Check the schema and the form of all rows; return them by resource."""
        async with self._opened(classes) as backend:
            await backend.check_schema()
            report = await RowWalk(backend, resources=classes).run()
            assert [fault for fault in report.faults if not _breaks_rule(fault.problem)] == []
            found: Rows = {}
            for cls in classes:
                rows = (await backend.resources[cls.__resource__.name].list(limit=1000)).data
                served = [{name: to_json(value) for name, value in row.fields().items()} for row in rows]
                found[cls.__resource__.name] = sorted(served, key=lambda row: str(row["id"]))
            return found

    async def lists(self, classes: Sequence[type[Resource]]) -> list[Any]:
        """Return the ids of lists in every order, and of those that a search finds."""
        found = []
        async with self._opened(classes) as backend:
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

    async def migrate(self, way: Way, history: History, number: int, stop: Stop | None = None) -> str:
        """Upgrade or downgrade to a revision; return the refusal, `STOPPED`, or nothing."""
        migrator = open_migrator(self._provision.settings, [history])
        target = f"{NAME}:{number:04}" if number else f"{NAME}:base"
        try:
            if stop is None:
                await (migrator.upgrade(target) if way == "upgrade" else migrator.downgrade(target))
            elif await stopped(stop, self._provision.settings, history, way, target):
                return STOPPED
        except MigrationError as exc:
            return str(exc)
        return ""

    async def applied(self) -> int:
        """Return the number of the newest revision that is applied."""
        found = await open_migrator(self._provision.settings).applied()
        return int(found.get(NAME, 0))

    async def check(self, history: History) -> list[str]:
        """Return the differences that `migrate check` finds."""
        return await open_migrator(self._provision.settings, [history]).check()

    async def definitions(self) -> Definitions:
        """Return the definitions of all tables or collections."""
        return await definitions_in(self._provision.settings)

    async def declared_afresh(self, history: History) -> Definitions:
        """Return the definitions in a new database with the declared resources."""
        specs = [_in_order_of(history.state, spec) for spec in history.declared]
        await open_migrator(self._fresh, [history_of(NAME, specs)]).upgrade()
        found = await definitions_in(self._fresh)
        await drop_declared(self._fresh)
        return found


def _in_order_of(state: State, declared: ResourceSpec) -> ResourceSpec:
    """Return a specification with the order of choices and of unique groups that the revisions lead to.

    The declaration may have another one. No revision changes it, because it says nothing.
    """
    was = state[declared.name]
    fields = {each.name: each for each in was.fields}

    def ordered(field: FieldSpec | None, like: FieldSpec | None) -> FieldSpec | None:
        if field is None or like is None:
            return field
        assert set(field.choices) == set(like.choices)
        return replace(field, choices=like.choices, item=ordered(field.item, like.item))

    assert {*map(frozenset, was.unique)} == {*map(frozenset, declared.unique)}
    found = tuple(ordered(each, fields[each.name]) or each for each in declared.fields)
    return replace(declared, fields=found, unique=was.unique)


def _breaks_rule(problem: Problem) -> bool:
    """Return whether a row is unlike what the class allows in a way that no database stores."""
    return "match" in problem.what or "multiple" in problem.what
