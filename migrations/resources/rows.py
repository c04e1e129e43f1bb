"""What the steps of a revision do to rows in Python, for stores without a schema.

A backend of another distribution gives `changed_rows` the steps, and stores the rows that it returns.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

from pydantic import TypeAdapter, ValidationError

from backends.models.resources import ResourceSpec
from backends.models.resources.values import write_json
from migrations import MigrationError
from migrations.resources.existing import existing_rules, owner_address
from migrations.resources.history import Step
from migrations.resources.operations import Fill, Rule, State
from migrations.resources.own_operations import Run
from migrations.resources.values import adapter_of
from migrations.resources.violations import NAMED, Direction, broken_rule, unknown_owner

Row: TypeAlias = dict[str, Any]
"""A row in JSON types by the names of the fields, with `id`, `created_at`, `version` and `owner_id`."""


@dataclass(frozen=True, slots=True)
class RowStore:
    """How `changed_rows` reads a store.

    Attributes:
        read: Returns the rows of a resource, in the order of their ids.
        user_id: Returns the id of the user with an email address; None if there is none.
    """

    read: Callable[[str], Iterable[Row]]
    user_id: Callable[[str], str | None]


def changed_rows(
    store: RowStore, revision: str, steps: Sequence[Step], direction: Direction = "upgrade"
) -> dict[str, list[Row]]:
    """Return the rows of each changed resource after the steps; a dropped resource has none.

    The caller replaces all rows of these resources, with their indexes, in one transaction.

    Args:
        store: The store.
        revision: `library:0003`, for messages.
        steps: `ResourceRevision.steps` or `undoing()`.
        direction: The command to repeat when the rows are corrected.

    Raises:
        MigrationError: Rows break a rule, or a step is a `Run`; nothing was changed.
    """
    for rule, spec in existing_rules(steps):
        rows = _moved(store.read(rule.resource), steps[0].before.get(rule.resource), spec)
        if ids := broken_by(rows, rule, spec):
            raise broken_rule(revision, rule, ids, direction)
    work = _Work(store, revision, direction)
    for step in steps:
        work.apply(step)
    return work.rows


class _Work:
    def __init__(self, store: RowStore, revision: str, direction: Direction) -> None:
        self._store, self._revision, self._direction = store, revision, direction
        self.rows: dict[str, list[Row]] = {}

    def apply(self, step: Step) -> None:
        if isinstance(step.operation, Run):
            raise MigrationError(
                f"revision {self._revision}: its Run has bodies for SQL and MongoDB, and none for this "
                "database; this revision changed nothing"
            )
        for name in dict.fromkeys([*step.before, *step.after]):
            if step.before.get(name) != step.after.get(name):
                rows = self._read(name, step.before)
                self.rows[name] = list(_moved(rows, step.before.get(name), step.after.get(name)))
        for fill in step.operation.fills():
            self._fill(fill)
        for rule in step.operation.rules():
            if ids := broken_by(self.rows[rule.resource], rule, step.after[rule.resource]):
                raise broken_rule(self._revision, rule, ids, self._direction)

    def _read(self, name: str, state: State) -> list[Row]:
        if name not in self.rows:
            self.rows[name] = [dict(row) for row in self._store.read(name)] if name in state else []
        return self.rows[name]

    def _fill(self, fill: Fill) -> None:
        found = [row for row in self.rows[fill.resource] if row.get(fill.field) == fill.instead_of]
        value = fill.value
        if fill.field == "owner_id":
            value = self._store.user_id(owner_address(fill))
            if found and value is None:
                raise unknown_owner(self._revision, fill, self._direction)
        for row in found:
            row[fill.field] = value


def _moved(rows: Iterable[Row], before: ResourceSpec | None, after: ResourceSpec | None) -> Iterator[Row]:
    """Yield rows under the names of a later specification, without the fields that are gone."""
    if after is None:
        return
    old = {} if before is None else {field.column: field.name for field in before.fields}
    served = [each for each in after.columns if each not in after.by_name]
    names = {each: each for each in served} | {
        old[field.column]: field.name for field in after.fields if field.column in old
    }
    for row in rows:
        yield {names[each]: value for each, value in row.items() if each in names}


def broken_by(rows: Iterable[Row], rule: Rule, spec: ResourceSpec) -> list[str]:
    """Return the ids of rows that break a rule; at most `NAMED` + 1.

    Args:
        rows: The rows, with the names that the fields have after the operation.
        rule: The rule.
        spec: The specification of the resource after the operation.
    """
    if rule.kind == "unique":
        found = sorted(_duplicates(rows, rule.fields))
    else:
        breaks = _condition(rule, spec)
        found = [row["id"] for row in rows if breaks(row)]
    return found[: NAMED + 1]


def _duplicates(rows: Iterable[Row], fields: Sequence[str]) -> Iterator[str]:
    groups: Mapping[str, list[str]] = defaultdict(list)
    for row in rows:
        values = [row[name] for name in fields]
        if None not in values:
            groups[write_json(values)].append(row["id"])
    for ids in groups.values():
        if len(ids) > 1:
            yield from ids


def _condition(rule: Rule, spec: ResourceSpec) -> Callable[[Row], bool]:
    if rule.kind == "empty":
        return lambda _: True
    (name,) = rule.fields
    if rule.kind == "bounds":
        # Patterns and multiples are rules of the declaration alone.
        adapter = adapter_of(replace(spec.by_name[name], pattern=None, multiple_of=None))
        return lambda row: row[name] is not None and not _accepts(adapter, row[name])
    value = rule.choice if rule.kind == "choice" else None
    return lambda row: bool(row[name] == value)


def _accepts(adapter: TypeAdapter[Any], value: Any) -> bool:
    try:
        adapter.validate_python(value)
    except ValidationError:
        return False
    return True
