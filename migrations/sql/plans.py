"""Says what of a revision can be prepared in tables with many rows, before its transaction."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import takewhile
from typing import TYPE_CHECKING

from migrations.resources.existing import all_columns, columns_of
from migrations.resources.own_operations import Run
from migrations.resources.values import require_stored
from migrations.sql.fills import Replaced, fills_of
from migrations.sql.prepared import columns_of_check, constraint_name, folded_name
from migrations.sql.table_changes import TableChange

if TYPE_CHECKING:
    from alembic.operations import Operations
    from sqlalchemy import CheckConstraint, Dialect, Table, UniqueConstraint

    from backends.models.resources import FieldSpec, ResourceSpec
    from migrations.resources.history import Step
    from migrations.resources.operations import Fill, State


@dataclass(slots=True)
class Plan:
    """What is prepared in a table.

    Attributes:
        table: The table as it is before the revision.
        replaced: The values that take the place of null or of a choice.
        folded: The columns of texts that become searchable.
        checks: The new CHECKs, also those of columns that become NOT NULL.
        groups: The new unique constraints.
    """

    table: Table
    replaced: list[Replaced] = field(default_factory=list)
    folded: list[str] = field(default_factory=list)
    checks: list[CheckConstraint] = field(default_factory=list)
    groups: list[UniqueConstraint] = field(default_factory=list)

    def __bool__(self) -> bool:
        """Whether there is anything to do."""
        return bool(self.replaced or self.folded or self.checks or self.groups)

    def names(self, dialect: Dialect) -> set[str]:
        """Return the names of what is prepared."""
        constraints: list[CheckConstraint | UniqueConstraint] = [*self.checks, *self.groups]
        return {
            *(folded_name(self.table.name, column) for column in self.folded),
            *(constraint_name(each, dialect) for each in constraints),
        }


def plans_of(
    steps: Sequence[Step], tables_of: Callable[[State], Mapping[str, Table]], operations: Operations
) -> Iterator[Plan]:
    """Yield what can be prepared in each table that exists before the revision.

    It is about columns that exist before the revision, too. An operation of one's own may do anything, so
    what comes after it is not prepared.
    """
    first = steps[0].before if steps else {}
    added = {name for step in steps for name in _columns(step.after) - _columns(step.before)}
    for name, spec in first.items():
        if (name, "id") in added or all(step.after.get(name) is spec for step in steps):
            continue
        old = all_columns(spec) - {column for of, column in added if of == name}
        plan = Plan(tables_of(first)[name])
        changes = [
            (step, TableChange(operations, tables_of(step.before)[name], tables_of(step.after)[name]))
            for step in _before_own(steps)
            if name in step.before and name in step.after and step.before[name] is not step.after[name]
        ]
        late = _fill(plan, spec, old, steps)
        counted = Counter(str(check.name) for _, change in changes for check in change.new_checks)
        for step, change in changes:
            plan.groups += [
                group for group in change.new_groups if {column.name for column in group.columns} <= old
            ]
            for check in change.new_checks:
                if columns_of_check(check) <= old - late and counted[str(check.name)] == 1:
                    plan.checks.append(check)
            folded = fills_of(step.before[name], step.after[name], (), None).folded
            plan.folded += [
                each for each in folded if each in old and f"{each}_folded" not in plan.table.columns
            ]
        if plan:
            yield plan


def _fill(plan: Plan, spec: ResourceSpec, old: set[str], steps: Sequence[Step]) -> set[str]:
    """Add the values that rows get to a plan; return the columns whose values only the transaction gives.

    The declaration of before must allow the value. If a rule is about the column, nothing may change before
    it is checked.
    """
    fills = [
        (step, fill) for step in steps for fill in step.operation.fills() if fill.resource == spec.name
    ]
    were = {each.column: each for each in spec.fields}
    fixed = {column for group in spec.unique for column in columns_of(spec, group)}
    for step in steps:
        for rule in step.operation.rules():
            if rule.resource == spec.name:
                fixed.update(columns_of(step.after[spec.name], rule.fields))
    prepared = _before_own(steps)
    late = {
        column
        for step, fill in fills
        if (column := _column_of(step, fill)) in fixed
        or step not in prepared
        or column not in were
        or not _is_allowed(were[column], fill)
    }
    for step, fill in fills:
        if _column_of(step, fill) in old - late:
            plan.replaced += fills_of(step.before[spec.name], step.after[spec.name], (fill,), None).replaced
    return late


def _before_own(steps: Sequence[Step]) -> list[Step]:
    return list(takewhile(lambda step: not isinstance(step.operation, Run), steps))


def _column_of(step: Step, fill: Fill) -> str:
    (column,) = columns_of(step.after[fill.resource], (fill.field,))
    return column


def _is_allowed(field: FieldSpec, fill: Fill) -> bool:
    try:
        require_stored(field.name, field, fill.value)
    except ValueError:
        return False
    return True


def _columns(state: State) -> set[tuple[str, str]]:
    """Return the resources and columns of a state; `id` stands for the resource itself."""
    found = set()
    for name, spec in state.items():
        owner = ["owner_id"] if spec.owned else []
        found |= {(name, column) for column in ("id", *(each.column for each in spec.fields), *owner)}
    return found
