"""Prepares tables with many rows before the transaction of a revision on PostgreSQL.

A statement that reads or changes all rows keeps others waiting until the transaction ends. So what takes
long is done before, on a second connection, in statements for which nobody waits:

1. Rows get the values of `MakeRequired` and `RemoveChoice`, in batches.
2. Texts are folded in batches, into a column of which servers of the revision before know nothing.
3. CHECKs are added without validation, rows that were written meanwhile get their values, and the
   CHECKs are validated.
4. The indexes of unique constraints are created concurrently.

The transaction takes over what is prepared, and does the rest. Everything is committed at once, so a run
after an interruption goes on. What no revision wants any more is dropped by the next run.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from sqlalchemy import Column
from sqlalchemy.exc import IntegrityError
from sqlalchemy.schema import AddConstraint, CreateIndex, DropConstraint, DropIndex

from backends.sql.types import LONG_TEXT
from migrations.sql import prepared
from migrations.sql.fills import fold_missing, replace_in_batches
from migrations.sql.lock import lock_table, second_connection
from migrations.sql.prepared import Prepared

if TYPE_CHECKING:
    from sqlalchemy import UniqueConstraint
    from sqlalchemy.engine import Connection

    from migrations.sql.plans import Plan


class Preparation:
    """Prepares tables on a second connection."""

    def __init__(self, connection: Connection, plans: Collection[Plan]) -> None:
        """Store what is to be done.

        Args:
            connection: The connection, in the migration's transaction, which holds no lock of the tables.
            plans: What is to be done.
        """
        self._connection = connection
        self._plans = plans
        self._schema = ""

    def run(self) -> None:
        """Prepare everything that rows allow."""
        if not self._plans:
            return
        self._schema = self._connection.exec_driver_sql("SELECT current_schema()").scalar_one()
        # See `migrations.sql.finishing`: a statement without a snapshot, for which nobody waits.
        self._connection.exec_driver_sql("SAVEPOINT preparing")
        with second_connection(self._connection) as second:
            for plan in self._plans:
                try:
                    self._run(second, plan)
                except IntegrityError:
                    # The transaction finds the rows that were written meanwhile, and names them.
                    self._drop_checks(second, plan)

    def _run(self, second: Connection, plan: Plan) -> None:
        self._fill(second, plan)
        for column in plan.folded:
            self._fold(second, plan, column)
        added = self._add_checks(second, plan)
        if plan.checks:
            self._fill(second, plan)
        table = second.dialect.identifier_preparer.format_table(prepared.copy_in(self._schema, plan.table))
        for name in added:
            second.exec_driver_sql(f"ALTER TABLE {table} VALIDATE CONSTRAINT {name}")
        for group in plan.groups:
            self._create_index(second, group)
        for column in plan.folded:
            self._fold(second, plan, column)

    def _fill(self, second: Connection, plan: Plan) -> None:
        table = prepared.copy_in(self._schema, plan.table)
        for each in plan.replaced:
            replace_in_batches(second, table, each)

    def _fold(self, second: Connection, plan: Plan, column: str) -> None:
        table = prepared.copy_in(self._schema, plan.table)
        name = prepared.folded_name(table.name, column)
        if name not in {each.name for each in self._prepared(second)}:
            with self._locked(plan) as locked:
                for statement in prepared.create_folded(locked, table, column, name):
                    locked.exec_driver_sql(statement)
        folded = Column(name, LONG_TEXT)
        table.append_column(folded)
        least = math.inf
        # A long pass leaves what others write meanwhile to the next one.
        while 0 < (found := fold_missing(second, table.c[column], folded)) < least:
            least = found

    def _add_checks(self, second: Connection, plan: Plan) -> list[str]:
        """Add the CHECKs, which new rows must follow from now on; return the names of those to validate."""
        dialect = second.dialect
        named = [(check, prepared.constraint_name(check, dialect)) for check in plan.checks]
        there = {each.name: each.is_valid for each in self._prepared(second)}
        missing = [(check, name) for check, name in named if name not in there]
        if missing:
            with self._locked(plan) as locked:
                for check, name in missing:
                    locked.execute(AddConstraint(prepared.check_of(check, name, self._schema)))
        return [name for _, name in named if not there.get(name)]

    def _drop_checks(self, second: Connection, plan: Plan) -> None:
        """Drop the CHECKs, which rows refuse: a change of such a row is refused too."""
        there = {each.name for each in self._prepared(second)}
        with self._locked(plan) as locked:
            for check in plan.checks:
                name = prepared.constraint_name(check, locked.dialect)
                if name in there:
                    locked.execute(DropConstraint(prepared.check_of(check, name, self._schema)))

    def _create_index(self, second: Connection, group: UniqueConstraint) -> None:
        """Create the index of a unique constraint. If rows refuse it, adding the constraint says so."""
        name = prepared.constraint_name(group, second.dialect)
        there = {each.name: each.is_valid for each in self._prepared(second)}
        if there.get(name):
            return
        index = prepared.index_of(group, name, self._schema)
        second.execute(DropIndex(index, if_exists=True))
        try:
            second.execute(CreateIndex(index))
        except IntegrityError:
            second.execute(DropIndex(index, if_exists=True))

    @contextmanager
    def _locked(self, plan: Plan) -> Iterator[Connection]:
        """Yield a connection in a transaction that has locked the table, for a moment."""
        engine = self._connection.engine.execution_options(isolation_level="READ COMMITTED")
        with engine.begin() as locked:
            lock_table(locked, prepared.copy_in(self._schema, plan.table))
            yield locked

    def _prepared(self, second: Connection) -> list[Prepared]:
        return prepared.find_prepared(second, self._schema)
