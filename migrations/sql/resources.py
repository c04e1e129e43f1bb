"""Applies the revisions of declared resources on PostgreSQL and SQLite, in the migration's transaction."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from sqlalchemy import delete, insert, select
from sqlalchemy.exc import SAWarning

from backends.ids import utc_now
from backends.sql.resource_migrations import RESOURCE_MIGRATIONS
from backends.sql.resource_statements import resource_tables
from migrations.resources.history import newest_state
from migrations.sql import definitions

if TYPE_CHECKING:
    from sqlalchemy import Table
    from sqlalchemy.engine import Connection

    from migrations.resources.history import History
    from migrations.resources.operations import State


def tables_of(histories: Sequence[History]) -> dict[str, Table]:
    """Return the tables of the newest revisions, and the table of records."""
    tables = {**_tables(newest_state(histories)), RESOURCE_MIGRATIONS.name: RESOURCE_MIGRATIONS}
    return {name: table for name, table in tables.items() if name != "items"}


def tables_made(histories: Sequence[History], applied: Mapping[str, str]) -> set[str]:
    """Return the names of the tables that the applied revisions created, and that of the records."""
    names = {name for history in histories for name in history.after(applied.get(history.name))}
    return {*names, RESOURCE_MIGRATIONS.name}


def read_applied(connection: Connection) -> dict[str, str]:
    """Return the newest recorded revision of each history."""
    columns = RESOURCE_MIGRATIONS.c
    query = select(columns.history, columns.number).order_by(columns.history, columns.number)
    return {str(history): str(number) for history, number in connection.execute(query)}


def apply(connection: Connection, histories: Sequence[History], history: History, number: str) -> None:
    """Apply a revision and record it."""
    RESOURCE_MIGRATIONS.create(connection, checkfirst=True)
    revision = history.revision(number)
    if added := revision.added:
        tables = _tables({**newest_state(histories), **revision.after})
        # Creates tables before those that refer to them, and adds the foreign keys of a cycle at the end.
        metadata = tables[added[0]].metadata
        metadata.create_all(connection, [tables[name] for name in added], checkfirst=False)
    connection.execute(
        insert(RESOURCE_MIGRATIONS).values(
            history=history.name, number=number, summary=revision.summary[:255], applied_at=utc_now()
        )
    )


def revert(connection: Connection, histories: Sequence[History], history: History, number: str) -> None:
    """Revert a revision and delete its record."""
    revision = history.revision(number)
    if added := revision.added:
        tables = _tables({**newest_state(histories), **revision.after})
        metadata = tables[added[0]].metadata
        with _cycles_allowed():
            metadata.drop_all(connection, [tables[name] for name in added], checkfirst=False)
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


@contextmanager
def _cycles_allowed() -> Iterator[None]:
    """Ignore the warning about tables that refer to each other, whose order does not matter here."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", ".*sort tables", SAWarning)
        yield


def _tables(state: State) -> dict[str, Table]:
    tables = resource_tables(list(state.values()))
    for table in tables.values():
        for index in table.indexes:
            index.dialect_kwargs.update(index.info)
    return tables
