"""Applies the revisions of declared resources on PostgreSQL and SQLite, in the migration's transaction."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from sqlalchemy import delete, insert, select

from backends.ids import utc_now
from backends.sql.resource_migrations import RESOURCE_MIGRATIONS
from backends.sql.resource_statements import resource_tables
from migrations.resources.history import newest_state
from migrations.resources.plan import MAX_SUMMARY, require_same
from migrations.sql import definitions
from migrations.sql.steps import Steps

if TYPE_CHECKING:
    from sqlalchemy import Table
    from sqlalchemy.engine import Connection

    from backends.models.resources import ResourceSpec
    from migrations.resources.history import History
    from migrations.resources.operations import State
    from migrations.resources.violations import Direction


def tables_of(histories: Sequence[History], applied: Mapping[str, str]) -> dict[str, Table]:
    """Return the tables that applied and later revisions have, each as it is first, and that of records."""
    state: dict[str, ResourceSpec] = {}
    for history in histories:
        number = applied.get(history.name)
        later = [each.after for each in history.revisions if each.number > (number or "")]
        for each in (history.after(number), *later):
            state = {**each, **state}
    tables = {**_tables(state), RESOURCE_MIGRATIONS.name: RESOURCE_MIGRATIONS}
    return {name: table for name, table in tables.items() if name != "items"}


def tables_made(histories: Sequence[History], applied: Mapping[str, str]) -> set[str]:
    """Return the names of the tables that the applied revisions created, and that of the records."""
    names = {name for history in histories for name in history.after(applied.get(history.name))}
    return {*names, RESOURCE_MIGRATIONS.name}


def read_applied(connection: Connection, histories: Sequence[History] = ()) -> dict[str, str]:
    """Return the newest recorded revision of each history.

    Raises:
        MigrationError: A recorded revision is another one than that of its history.
    """
    columns = RESOURCE_MIGRATIONS.c
    query = select(columns.history, columns.number, columns.summary)
    query = query.order_by(columns.history, columns.number)
    records = [(str(row[0]), str(row[1]), str(row[2])) for row in connection.execute(query)]
    require_same(histories, records)
    return {history: number for history, number, _ in records}


def tables_applied(histories: Sequence[History], applied: Mapping[str, str]) -> list[Table]:
    """Return the tables that the applied revisions add up to."""
    state = {
        name: spec
        for history in histories
        for name, spec in history.after(applied.get(history.name)).items()
    }
    return [table for name, table in _tables(state).items() if name != "items"]


def steps_of(
    connection: Connection,
    histories: Sequence[History],
    history: History,
    number: str,
    direction: Direction,
) -> Steps:
    """Return the steps of a revision, or those that undo it."""
    revision = history.revision(number)
    # References may name the resources of another history.
    known = {
        name: spec
        for each_history in histories
        for each in each_history.revisions
        for name, spec in each.after.items()
    }
    steps = revision.steps if direction == "upgrade" else revision.undoing()
    name = f"{history.name}:{number}"
    return Steps(connection, name, steps, lambda state: _tables({**known, **state}), direction)


def apply(connection: Connection, steps: Steps, history: History, number: str) -> None:
    """Apply a revision and record it."""
    RESOURCE_MIGRATIONS.create(connection, checkfirst=True)
    steps.run()
    summary = history.revision(number).summary[:MAX_SUMMARY]
    connection.execute(
        insert(RESOURCE_MIGRATIONS).values(
            history=history.name, number=number, summary=summary, applied_at=utc_now()
        )
    )


def revert(connection: Connection, steps: Steps, history: History, number: str) -> None:
    """Revert a revision and delete its record."""
    steps.run()
    columns = RESOURCE_MIGRATIONS.c
    connection.execute(
        delete(RESOURCE_MIGRATIONS).where(columns.history == history.name, columns.number == number)
    )
    if not read_applied(connection):
        RESOURCE_MIGRATIONS.drop(connection)


def differences(connection: Connection, histories: Sequence[History]) -> list[str]:
    """Compare the tables of declared resources with their specifications; one sentence per difference."""
    tables = [table for name, table in _tables(newest_state(histories)).items() if name != "items"]
    return definitions.differences(connection, tables) if tables else []


def _tables(state: State) -> dict[str, Table]:
    """Return the tables of a state, and that of items; the keys of columns are their names."""
    tables = resource_tables([_by_column(spec) for spec in state.values()])
    for table in tables.values():
        for index in table.indexes:
            index.dialect_kwargs.update(index.info)
    return tables


def _by_column(spec: ResourceSpec) -> ResourceSpec:
    """Return the specification with the names of columns as the names of fields."""
    columns = {field.name: field.column for field in spec.fields}
    fields = tuple(replace(field, name=field.column) for field in spec.fields)
    unique = tuple(tuple(columns.get(name, name) for name in group) for group in spec.unique)
    return replace(spec, fields=fields, unique=unique)
