"""Made-up evolutions: a declaration, and the ones that it becomes, revision by revision."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hypothesis import assume
from hypothesis.strategies import DrawFn, composite, integers, lists, sampled_from, tuples

from backends.models.resources import FieldSpec, Resource
from backends.models.resources.values import to_json
from migrations import MigrationError
from migrations.resources.changes import Given, changes_of
from migrations.resources.checks import apply_all
from migrations.resources.history import History, ResourceRevision, history_of
from tests.contract.made_up import declarations, load
from tests.contract.resource_values import values_of
from tests.differential.evolutions.field_changes import Numbers
from tests.differential.evolutions.text_changes import CHANGES, RULES, changed
from tests.differential.evolutions.texts import read, render

NAME = "made_up"
OWNER = "ada@example.com"


@dataclass(frozen=True)
class Revision:
    """A declaration, and how the one before becomes this one.

    Attributes:
        declaration: The declaration.
        drops: What the author allows to be dropped.
        values: The values that existing rows get.
        changes: The changes, for people.
    """

    declaration: str
    drops: tuple[str, ...] = ()
    values: Mapping[str, Any] = field(default_factory=dict)
    changes: tuple[str, ...] = ()

    @property
    def classes(self) -> tuple[type[Resource], ...]:
        """The classes that are declared."""
        return load(self.declaration)

    @property
    def given(self) -> Given:
        """What the author of the revision decides."""
        return Given(self.drops, self.values)

    def __str__(self) -> str:
        """Return the declaration, and what leads to it."""
        head = f"# by {', '.join(self.changes)}; values: {self.values}\n" if self.changes else ""
        return head + self.declaration


@dataclass(frozen=True)
class Evolution:
    """The declarations, oldest first."""

    revisions: tuple[Revision, ...]

    def histories(self) -> list[History]:
        """Return the history at each revision.

        Raises:
            MigrationError: No operation leads from one declaration to the next.
        """
        first = history_of(NAME, [cls.__resource__ for cls in self.revisions[0].classes])
        return [first, *self._later(first)]

    def _later(self, history: History) -> Iterator[History]:
        for number, each in enumerate(self.revisions[1:], 2):
            declared = tuple(cls.__resource__ for cls in each.classes)
            operations = tuple(changes_of(History(NAME, Path(), history.revisions, declared), each.given))
            after = apply_all(operations, history.state)
            revision = ResourceRevision(f"{number:04}", NAME, operations, history.state, after)
            history = History(NAME, Path(), (*history.revisions, revision), declared)
            yield history


@composite
def evolutions(draw: DrawFn, most: int = 3, owners: Sequence[str] = ()) -> Evolution:
    """Return a made-up declaration and one to three later ones, each by one to four changes.

    Args:
        draw: Given by Hypothesis.
        most: The number of later declarations.
        owners: The ids of users to whom existing rows may refer.
    """
    numbers = tuples(*[integers(0, 999)] * 8)
    # The simplest evolution says little, and Hypothesis always begins with it.
    assume(any(salt := draw(numbers)))
    text = read(draw(declarations()))
    found = [Revision(render(text))]
    for place in range(1 + salt[0] % most):
        done: list[str] = []
        for kind, decisions in draw(
            lists(tuples(sampled_from((*CHANGES, *RULES)), numbers), min_size=1, max_size=4)
        ):
            new = changed(text, kind, decisions)
            if new is not None:
                text = new
                done.append(kind)
        if not done:
            continue
        declaration = render(text)
        classes = found[-1].classes, load(declaration)
        values = dict(_values(*classes, draw(numbers), owners))
        revision = Revision(declaration, drops_of(*classes), values, tuple(done))
        if _is_written(found, revision):
            found.append(revision)
        else:
            text = read(found[-1].declaration)
        del place
    assume(len(found) > 1)
    return Evolution(tuple(found))


def _is_written(found: Sequence[Revision], revision: Revision) -> bool:
    """Return whether operations lead to a revision, and there are any."""
    try:
        histories = Evolution((*found, revision)).histories()
    except MigrationError:
        return False
    return bool(histories[-1].revisions[-1].operations)


def _values(
    before: Sequence[type[Resource]],
    after: Sequence[type[Resource]],
    numbers: Numbers,
    owners: Sequence[str],
) -> Iterator[tuple[str, Any]]:
    """Yield the values that existing rows need, and some that they may get."""
    state = {each.__resource__.name: each.__resource__ for each in before}
    for cls in after:
        spec = cls.__resource__
        was = state.get(spec.name)
        if was is None:
            continue
        if spec.owned and not was.owned and numbers[0] % 2:
            yield f"{spec.name}.owner_id", OWNER
        columns = {each.column: each for each in was.fields}
        for place, each in enumerate(spec.fields):
            is_in_group = any(each.name in group for group in spec.unique)
            if not is_in_group and _may_give(columns.get(each.column), each, numbers[place % 5 + 1]):
                values = [*map(to_json, values_of(cls, each.name))]
                if each.kind == "reference":
                    values = [*owners] if each.target == "users" else []
                if values:
                    yield f"{spec.name}.{each.name}", values[numbers[-1] % len(values)]


def _may_give(was: FieldSpec | None, now: FieldSpec, number: int) -> bool:
    """Return whether rows get a value: if they must, and else in some cases."""
    if was is None:
        return not now.nullable or number % 2 == 0
    becomes_required = was.nullable and not now.nullable
    loses_choice = bool(set(was.choices) - set(now.choices))
    return (becomes_required or loses_choice) and number % 3 == 0


def drops_of(before: Sequence[type[Resource]], after: Sequence[type[Resource]]) -> tuple[str, ...]:
    """Return the names of what is gone."""
    found = []
    declared = {each.__resource__.name: each.__resource__ for each in after}
    for spec in (each.__resource__ for each in before):
        now = declared.get(spec.name)
        if now is None:
            found.append(spec.name)
            continue
        columns = {each.column for each in now.fields}
        found += [f"{spec.name}.{each.name}" for each in spec.fields if each.column not in columns]
        found += [f"{spec.name}.owner_id"] if spec.owned and not now.owned else []
    return tuple(found)
