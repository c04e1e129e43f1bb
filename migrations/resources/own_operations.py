"""An operation of one's own, with a body for SQL and one for MongoDB."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

from migrations.resources.operations import Harmless, State

SqlBody: TypeAlias = Callable[[Any], None]
"""Takes an SQLAlchemy `Connection`. On SQLite and PostgreSQL it runs in the migration's transaction."""

MongoBody: TypeAlias = Callable[[Any], Awaitable[None]]
"""Takes the database of the selected driver. It may run again after an interruption."""


@dataclass(frozen=True, slots=True)
class Run(Harmless):
    """Changes rows, and leaves the declaration as it is.

    Attributes:
        sql: What SQLite and PostgreSQL do.
        mongo: What MongoDB does.
        undo_sql: What undoes it. None: it can't be undone.
        undo_mongo: What undoes it. None: it can't be undone.
    """

    sql: SqlBody
    mongo: MongoBody
    undo_sql: SqlBody | None = None
    undo_mongo: MongoBody | None = None

    def after(self, state: State) -> State:
        """See `Operation`."""
        return state

    def undone(self, before: State) -> Run:
        """See `Operation`."""
        del before
        if self.undo_sql is None or self.undo_mongo is None:
            raise ValueError(
                "an operation of its own says nothing about how it is undone: undo_sql, undo_mongo"
            )
        return Run(self.undo_sql, self.undo_mongo, self.sql, self.mongo)
