"""What a revision does to rows, in Python: the rows that it refuses, and those that it leaves."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

from backends.models.resources import FieldSpec, ResourceSpec
from migrations import MigrationError
from migrations.resources.history import ResourceRevision, Step
from migrations.resources.operations import Fill, Rule, State
from migrations.resources.rows import RowStore, changed_rows
from migrations.resources.values import canonical
from migrations.resources.violations import Direction, broken_rule

Row: TypeAlias = dict[str, Any]
Rows: TypeAlias = dict[str, list[Row]]
"""The rows by resource, in JSON types, by the names of the API."""


@dataclass(frozen=True)
class Move:
    """What becomes of rows in a revision.

    Attributes:
        rows: The rows after it; those before it, if it is refused.
        refusal: What the databases say of rows that break a rule; nothing if none does.
        resource: The resource of these rows.
        ids: Their ids.
        undone: The rows before all moves, as they may be when an interrupted move is undone: the steps that
            were done, and those that undo them, may have changed values.
    """

    rows: Rows
    refusal: str = ""
    resource: str = ""
    ids: Sequence[str] = ()
    undone: Sequence[Rows] = ()


def moves_of(
    name: str,
    revisions: Sequence[ResourceRevision],
    way: Direction,
    rows: Rows,
    owners: Mapping[str, str],
) -> list[Move]:
    """Return what becomes of rows, revision by revision, until one is refused.

    Args:
        name: The name of the history.
        revisions: The revisions, in the order in which they are applied or undone.
        way: Which of both.
        rows: The rows before.
        owners: The ids of users by email address.
    """
    found: list[Move] = []
    done: list[tuple[Step, Step | None]] = []
    start = rows
    for revision in revisions:
        try:
            steps = revision.steps if way == "upgrade" else revision.undoing()
        except MigrationError as exc:
            return [*found, Move(rows, str(exc))]
        if bad := broken(steps, rows):
            rule, ids = bad
            refusal = str(broken_rule(f"{name}:{revision.number}", rule, ids, way))
            return [*found, Move(rows, refusal, rule.resource, ids)]
        back = [_undone(step) for step in steps] if way == "upgrade" else revision.steps[::-1]
        undone: list[Rows] = []
        for step, undo in zip(steps, back, strict=True):
            undone += _undone_rows(done, start, owners)
            done.append((step, undo))
        undone += _undone_rows(done, start, owners)
        rows = changed(steps, rows, owners)
        found.append(Move(rows, undone=undone))
    return found


def in_a_store(
    name: str, revision: ResourceRevision, way: Direction, rows: Rows, owners: Mapping[str, str]
) -> tuple[Rows, str]:
    """Return the rows after a revision in a store without a schema, and the refusal, if there is one."""
    store = RowStore(rows.__getitem__, owners.get)
    try:
        steps = revision.steps if way == "upgrade" else revision.undoing()
        found = changed_rows(store, f"{name}:{revision.number}", steps, way)
    except MigrationError as exc:
        return rows, str(exc)
    after = revision.after if way == "upgrade" else revision.before
    return {each: found[each] if each in found else rows[each] for each in after}, ""


def _undone(step: Step) -> Step | None:
    try:
        return Step(step.operation.undone(step.before), step.after, step.before)
    except ValueError:
        return None


def _undone_rows(
    done: Sequence[tuple[Step, Step | None]], rows: Rows, owners: Mapping[str, str]
) -> Iterator[Rows]:
    """Yield the rows after these steps and those that undo them, if there are such."""
    back = [undo for _, undo in reversed(done) if undo is not None]
    if len(back) == len(done):
        yield changed(back, changed([step for step, _ in done], rows, owners), owners)


def broken(steps: Sequence[Step], rows: Rows) -> tuple[Rule, list[str]] | None:
    """Return the first rule that rows break before anything changes, and their ids in order."""
    before = steps[0].before if steps else {}
    for step in steps:
        for rule in step.operation.rules():
            names = _names_before(before, step.after[rule.resource], rule)
            if names is None:
                continue
            found = _breaking(step.after[rule.resource], rule, names, rows[rule.resource])
            if found:
                return rule, sorted(found)
    return None


def _names_before(before: State, spec: ResourceSpec, rule: Rule) -> list[str] | None:
    """Return the names that the fields of a rule have before the revision; None if one is new."""
    if rule.resource not in before:
        return None
    was = before[rule.resource]
    by_column = {field.column: field.name for field in was.fields} | dict.fromkeys(
        ["owner_id"] * was.owned, "owner_id"
    )
    columns = [spec.by_name[name].column if name in spec.by_name else name for name in rule.fields]
    return [by_column[each] for each in columns] if by_column.keys() >= set(columns) else None


def _breaking(spec: ResourceSpec, rule: Rule, names: Sequence[str], rows: Sequence[Row]) -> list[str]:
    match rule.kind:
        case "empty":
            return [row["id"] for row in rows]
        case "not_null":
            return [row["id"] for row in rows if row[names[0]] is None]
        case "choice":
            return [row["id"] for row in rows if row[names[0]] == rule.choice]
        case "bounds":
            return [row["id"] for row in rows if not _fits(spec.by_name[rule.fields[0]], row[names[0]])]
        case _:
            same = defaultdict(list)
            for row in rows:
                values = tuple(row[name] for name in names)
                if None not in values:
                    same[values].append(row["id"])
            return [each for ids in same.values() if len(ids) > 1 for each in ids]


def _fits(field: FieldSpec, value: Any) -> bool:
    item = field.item and replace(field.item, pattern=None, multiple_of=None)
    try:
        canonical("", replace(field, pattern=None, multiple_of=None, nullable=True, item=item), value)
    except ValueError:
        return False
    return True


def changed(steps: Sequence[Step], rows: Rows, owners: Mapping[str, str]) -> Rows:
    """Return the rows after the steps.

    Args:
        steps: The steps, whose rules the rows follow.
        rows: The rows before.
        owners: The ids of users by email address.
    """
    rows = {name: [dict(row) for row in each] for name, each in rows.items()}
    for step in steps:
        rows = {
            name: [_moved(row, step.before[name], spec) for row in rows[name]]
            if name in step.before
            else []
            for name, spec in step.after.items()
        }
        for fill in step.operation.fills():
            for row in rows[fill.resource]:
                _fill(row, fill, owners)
    return rows


def _moved(row: Row, before: ResourceSpec, after: ResourceSpec) -> Row:
    """Return a row with the fields that the resource has now; a new one has null."""
    by_column = {field.column: row[field.name] for field in before.fields}
    kept = {name: row[name] for name in ("id", "created_at", "version")}
    owner = {"owner_id": row.get("owner_id")} if after.owned else {}
    return kept | owner | {field.name: by_column.get(field.column) for field in after.fields}


def _fill(row: Row, fill: Fill, owners: Mapping[str, str]) -> None:
    if row[fill.field] == fill.instead_of:
        row[fill.field] = owners[fill.value] if fill.field == "owner_id" else fill.value
