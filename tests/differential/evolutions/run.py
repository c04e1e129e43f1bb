"""One evolution on every database, beside the model: up with rows in between, down again, and stopped."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import cycle
from typing import Any

import pytest

from backends.models.resources import Resource
from migrations.mongo import fills
from migrations.resources.field_operations import AddField
from migrations.resources.history import History, ResourceRevision
from migrations.sql import steps as sql_steps
from tests.differential.evolutions.databases import STOPPED, Database, Way, user_ids
from tests.differential.evolutions.made_up import NAME, OWNER, Evolution
from tests.differential.evolutions.model import Move, Row, Rows, in_a_store, moves_of
from tests.differential.evolutions.schemas import Definitions
from tests.differential.evolutions.stops import Stop


class _EndedError(Exception):
    """An interrupted revision was undone, and values went with it, as they may: the rows differ now."""


@dataclass(frozen=True)
class Decisions:
    """What Hypothesis decides about a run.

    Attributes:
        rows: One row of each resource for each number.
        numbers: The decisions on the way, one after the other and from the start again.
        kills: Whether processes are killed, which takes seconds.
    """

    rows: Sequence[int]
    numbers: Sequence[int]
    kills: bool = False


class EvolutionRun:
    """One evolution."""

    def __init__(
        self,
        databases: Mapping[str, Database],
        evolution: Evolution,
        decisions: Decisions,
        outcomes: Counter[str],
    ) -> None:
        """Take the started databases, and a counter of what happens."""
        self._databases, self._outcomes = databases, outcomes
        self._evolution, self._decisions = evolution, decisions
        self._histories = evolution.histories()
        self._numbers = cycle(decisions.numbers)
        self._number, self._highest, self._rows = 0, 0, Rows()
        self._additions = 0
        self._are_large = bool(self._choose(2))
        self._rows_at: dict[int, Rows] = {0: {}}
        self._definitions: dict[int, Mapping[str, Definitions]] = {}

    async def run(self) -> None:
        """Run it.

        Raises:
            AssertionError: A database differs from the others or from the model.
        """
        with pytest.MonkeyPatch.context() as patch:
            if self._are_large:
                # What changes many rows in parts, or while others write, does so with a few rows.
                patch.setattr(sql_steps, "SMALL", 1)
                patch.setattr(fills, "BATCH", 2)
            try:
                await self._run()
            except _EndedError:
                self._outcomes["interrupted and undone, with other values"] += 1

    async def _run(self) -> None:
        await self._all("clean")
        self._definitions[0] = await self._each("definitions")
        while self._number < len(self._histories):
            most = len(self._histories) - self._number
            if await self._move(
                "upgrade", self._number + 1 + self._choose(2 if self._number else 1) % most
            ):
                await self._add_rows()
            elif not await self._correct_rows():
                break
        await self._all("lists", self._classes)
        top = self._number
        assert await self._all("check", self._histories[top - 1]) == []
        while self._number > 1 and await self._move("downgrade", self._number - 1):
            pass
        if self._number < top and await self._move("upgrade", top):
            await self._add_rows()

    # -- the databases -----------------------------------------------------------------------------

    def _choose(self, number: int) -> int:
        return next(self._numbers) % number

    async def _each(self, method: str, *arguments: Any, **keywords: Any) -> dict[str, Any]:
        """Call a method of every database in turn: Alembic's migration is in global variables."""
        results = {}
        for name, each in self._databases.items():
            try:
                results[name] = await getattr(each, method)(*arguments, **keywords)
            except BaseException as exc:
                exc.add_note(f"{method} on {name}, at revision {self._number}")
                raise
        return results

    async def _all(self, method: str, *arguments: Any, **keywords: Any) -> Any:
        """Call a method of every database, and return the result, which is the same."""
        results = await self._each(method, *arguments, **keywords)
        first = next(iter(results))
        for name, result in results.items():
            assert result == results[first], f"{method}: {name} differs from {first}"
        return results[first]

    @property
    def _classes(self) -> Sequence[type[Resource]]:
        return self._classes_at(self._number)

    def _classes_at(self, number: int) -> Sequence[type[Resource]]:
        return self._evolution.revisions[number - 1].classes if number else ()

    # -- rows ----------------------------------------------------------------------------------------

    async def _add_rows(self) -> None:
        rows = self._decisions.rows[: None if self._number == 1 else 2]
        self._additions += 1
        await self._all("add", self._classes, rows, step=self._additions)
        self._rows = self._rows_at[self._number] = await self._all("read", self._classes)

    async def _correct_rows(self) -> bool:
        """Delete the rows that break a rule, as the message asks; return whether it was possible."""
        target = min(self._number + 1, len(self._histories))
        moves = self._moves(self._revisions("upgrade", target), "upgrade")
        ids = moves[0].ids if moves else ()
        if not ids:
            return False
        error = await self._all("delete", self._classes, moves[0].resource, ids)
        self._rows = await self._all("read", self._classes)
        self._rows_at = {self._number: self._rows}
        self._outcomes["corrected"] += not error
        return not error

    # -- revisions -----------------------------------------------------------------------------------

    def _revisions(self, way: Way, target: int) -> list[ResourceRevision]:
        """Return the revisions on the way to another one, in their order."""
        revisions = self._histories[-1].revisions
        if way == "upgrade":
            return list(revisions[self._number : target])
        return list(revisions[target : self._number])[::-1]

    def _moves(self, revisions: Sequence[ResourceRevision], way: Way) -> list[Move]:
        ada = user_ids()[1]
        return moves_of(NAME, revisions, way, self._rows, {OWNER: ada})

    async def _move(self, way: Way, target: int) -> bool:
        """Go to another revision, in some cases after interruptions; return whether it is reached."""
        history = self._histories[max(self._number, target) - 1]
        revisions = self._revisions(way, target)
        moves = self._moves(revisions, way)
        self._compare_with_a_store(way, revisions, moves)
        await self._interrupt(way, history, target, moves)
        refusal = await self._all("migrate", way, history, target)
        assert refusal == moves[-1].refusal
        self._outcomes[f"{way}: {'refused' if refusal else 'done'}"] += 1
        if refusal:
            await self._compare_transactional()
            target = self._number + (1 if way == "upgrade" else -1) * (len(moves) - 1)
            # Those before the refused one are applied on MongoDB.
            assert await self._all("migrate", way, history, target) == ""
        self._rows = moves[-1].rows
        self._number, self._highest = target, max(target, self._highest)
        await self._compare()
        return not refusal

    def _compare_with_a_store(
        self, way: Way, revisions: Sequence[ResourceRevision], moves: Sequence[Move]
    ) -> None:
        """Compare what a store without a schema does with the model."""
        rows = self._rows
        for revision, move in zip(revisions, moves, strict=False):
            found, refusal = in_a_store(NAME, revision, way, rows, {OWNER: user_ids()[1]})
            assert (refusal, found) == (move.refusal, move.rows), "a store without a schema"
            rows = move.rows

    async def _compare_transactional(self) -> None:
        """Compare the databases with a transaction for each run with what they were before it."""
        for name, each in self._databases.items():
            if each.is_transactional(are_large=self._are_large):
                await self._compare_stopped(name, each)

    async def _compare(self) -> None:
        """Compare everything with the model, with a database declared afresh, and with the way up."""
        history = self._histories[self._number - 1]
        rows = await self._all("read", self._classes)
        assert rows == self._rows
        definitions = await self._each("definitions")
        if self._number not in self._definitions:
            fresh = await self._each("declared_afresh", history)
            for name in definitions:
                assert definitions[name] == fresh[name], f"{name} differs from one declared afresh"
            self._definitions[self._number] = definitions
        for name, expected in self._definitions[self._number].items():
            assert definitions[name] == expected, f"{name} has another schema than before"
        undone = self._histories[-1].revisions[self._number : self._highest]
        earlier = self._rows_at.get(self._number)
        if undone and earlier and not any(_loses(each) for each in undone):
            self._outcomes["undone without loss"] += 1
            assert {name: _same(each, earlier[name]) for name, each in rows.items()} == earlier

    # -- interruptions ---------------------------------------------------------------------------------

    async def _interrupt(self, way: Way, history: History, target: int, moves: Sequence[Move]) -> None:
        """Stop the databases once or twice each, and let some go back to where they were."""
        for _ in range(self._choose(3)):
            stop = self._stop()
            for name, each in self._databases.items():
                result = await each.migrate(way, history, target, stop)
                assert result in {STOPPED, moves[-1].refusal}, f"{name}: {result}"
                if result != STOPPED:
                    continue
                self._outcomes[f"{stop.how}: {name}"] += 1
                is_whole = each.is_transactional(are_large=self._are_large)
                if is_whole and await each.applied() == self._number:
                    await self._compare_stopped(name, each)
                if self._choose(3) == 0:
                    await self._go_back(name, each, "downgrade" if way == "upgrade" else "upgrade", moves)

    def _stop(self) -> Stop:
        how = self._choose(24)
        if how == 0 and self._decisions.kills:
            return Stop(self._choose(30), "kill")
        return Stop(self._choose(30), "cut" if how % 2 else "error")

    async def _compare_stopped(self, name: str, database: Database) -> None:
        """Compare with what was before: nothing has happened."""
        assert await database.applied() == self._number
        definitions, expected = await database.definitions(), self._definitions[self._number][name]
        assert definitions == expected
        assert await database.read(self._classes) == self._rows

    async def _go_back(self, name: str, database: Database, way: Way, moves: Sequence[Move]) -> None:
        """Go back to the revision from which an interrupted migrator went, if it can be undone."""
        history = self._histories[-1]
        refusal = await database.migrate(way, history, self._number)
        self._outcomes[f"interrupted, {'kept' if refusal else 'undone'}"] += 1
        if refusal:
            return
        rows = await database.read(self._classes)
        if not database.prepares(are_large=self._are_large):
            # Otherwise, later steps may have given values before earlier ones were begun.
            assert rows in [each for move in moves for each in move.undone], f"{name}: {way} after a stop"
        definitions = await database.definitions()
        if not self._are_large:
            assert definitions == self._definitions[self._number][name]
        if rows != self._rows:
            raise _EndedError


def _loses(revision: ResourceRevision) -> bool:
    """Return whether a revision loses values, or gives other ones to fields that had some."""
    others = (each for each in revision.operations if not isinstance(each, AddField))
    return bool(revision.loses) or any(each.fills() for each in others)


def _same(rows: Sequence[Row], earlier: Sequence[Row]) -> list[Row]:
    """Return the rows that there were earlier, too."""
    ids = {row["id"] for row in earlier}
    return [row for row in rows if row["id"] in ids]
