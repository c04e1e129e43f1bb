"""Runs the steps of a revision of declared resources on PostgreSQL and SQLite, in the open transaction."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, TypeAlias

from alembic.operations import Operations
from alembic.runtime.migration import MigrationContext
from sqlalchemy import func, select
from sqlalchemy.exc import DBAPIError, IntegrityError
from sqlalchemy.schema import AddConstraint, DropConstraint, DropTable

from backends.sql.schema import USERS
from migrations import MigrationError
from migrations.resources.existing import existing_rules, owner_address
from migrations.resources.operations import Fill, Rule, State
from migrations.resources.own_operations import Run
from migrations.resources.violations import NOTHING_CHANGED, broken_rule, unknown_owner
from migrations.sql.fills import fills_of
from migrations.sql.lock import is_lock_timeout, lock_table
from migrations.sql.plans import plans_of
from migrations.sql.prepared import drop_prepared
from migrations.sql.preparing import Preparation
from migrations.sql.rules import find_violations
from migrations.sql.table_changes import TableChange, create_table

if TYPE_CHECKING:
    from sqlalchemy import ForeignKeyConstraint, Table
    from sqlalchemy.engine import Connection

    from backends.models.resources import ResourceSpec
    from migrations.resources.history import Step
    from migrations.resources.violations import Direction
    from migrations.sql.plans import Plan

Tables: TypeAlias = Callable[[State], dict[str, "Table"]]
"""Returns the tables of a state, with the names of columns as keys."""

SMALL = 10_000
"""The rows of a table whose indexes are created within the transaction on PostgreSQL."""


class Steps:
    """The steps of a revision. `run` first checks all rules, and changes nothing if one is broken."""

    def __init__(
        self,
        connection: Connection,
        revision: str,
        steps: Sequence[Step],
        tables_of: Tables,
        direction: Direction = "upgrade",
    ) -> None:
        """Take the steps.

        Args:
            connection: The connection, in the migration's transaction.
            revision: `library:0003`, for messages.
            steps: The steps, each from the state after the one before.
            tables_of: Returns the tables of a state.
            direction: What an error asks to run again.
        """
        self._connection = connection
        self._operations = Operations(MigrationContext.configure(connection))
        self._revision = revision
        self._steps = steps
        self._tables_of = tables_of
        self._direction = direction
        self._on_sqlite = connection.dialect.name == "sqlite"
        self._missing: list[ForeignKeyConstraint] = []
        self._changed = NOTHING_CHANGED

    @property
    def plans(self) -> list[Plan]:
        """What is to be prepared in tables with many rows."""
        if self._on_sqlite:
            return []
        plans = plans_of(self._steps, self._tables_of, self._operations)
        return [plan for plan in plans if self._is_large(plan.table)]

    def run(self) -> None:
        """Run all steps. The transaction must have locked no table that is to be prepared.

        Raises:
            MigrationError: Rows break a rule; the message names some of them.
        """
        if self._on_sqlite:
            self._check_all()
        else:
            # The rollback ends the locks of the queries, for which the creation of an index would wait.
            self._connection.exec_driver_sql("SAVEPOINT resource_rules")
            self._check_all()
            plans = self.plans
            self._connection.exec_driver_sql("ROLLBACK TO SAVEPOINT resource_rules")
            self._prepare(plans)
        for step in self._steps:
            with self._explained(step):
                self._run(step)

    def _prepare(self, plans: Sequence[Plan]) -> None:
        if any(plan.replaced for plan in plans):
            self._changed = "rows have got the values of the revision, and nothing else was changed"
        Preparation(self._connection, plans).run()
        wanted = {name for plan in plans for name in plan.names(self._connection.dialect)}
        drop_prepared(self._connection, wanted=wanted)

    def _check_all(self) -> None:
        if not self._steps:
            return
        tables = self._tables_of(self._steps[0].before)
        for rule, spec in existing_rules(self._steps):
            self._check(rule, spec, tables[rule.resource])
        for step in self._steps:
            for fill in _of_owner(step):
                if fill.resource in tables:
                    self._owner(fill, tables[fill.resource])

    def _check(self, rule: Rule, spec: ResourceSpec, table: Table) -> None:
        if ids := find_violations(self._connection, table, spec, rule):
            raise broken_rule(self._revision, rule, ids, self._direction, changed=self._changed)

    def _owner(self, fill: Fill, table: Table) -> str | None:
        """Return the id of the user who gets the rows; None if there is none, and no row."""
        of_address = select(USERS.c.id).where(USERS.c.email == owner_address(fill))
        found = self._connection.scalar(of_address)
        if found is None and self._connection.scalar(select(table.c.id).limit(1)) is not None:
            raise unknown_owner(self._revision, fill, self._direction)
        return found

    @contextmanager
    def _explained(self, step: Step) -> Iterator[None]:
        """Explain an error by the rows that break a rule of the step: they were written meanwhile.

        Others may be the result of an operation before this one, which `_check_all` can't foresee.
        """
        self._connection.exec_driver_sql("SAVEPOINT resource_step")
        try:
            yield
        except DBAPIError as exc:
            if not _is_about_rows(exc):
                raise
            self._connection.exec_driver_sql("ROLLBACK TO SAVEPOINT resource_step")
            tables = self._tables_of(step.before)
            for rule in step.operation.rules():
                try:
                    self._check(rule, step.after[rule.resource], tables[rule.resource])
                except MigrationError as explained:
                    raise explained from exc
            raise
        self._connection.exec_driver_sql("RELEASE SAVEPOINT resource_step")

    def _run(self, step: Step) -> None:
        if isinstance(step.operation, Run):
            self._run_own(step.operation)
            return
        old, new = self._tables_of(step.before), self._tables_of(step.after)
        for name in step.before:
            if name not in step.after:
                self._drop(old[name], [old[each] for each in step.before])
        for name in step.after:
            if name not in step.before:
                self._missing += create_table(self._operations, new[name], self._present(step))
            elif step.before[name] is not step.after[name]:
                self._change(step, name, old[name], new[name])
        self._add_missing_references(step)

    def _run_own(self, operation: Run) -> None:
        try:
            operation.sql(self._connection)
        except Exception as exc:  # the user's function may raise anything
            if is_lock_timeout(exc):
                raise
            line = (str(exc).splitlines() or [""])[0]
            raise MigrationError(
                f"revision {self._revision}: its own operation failed, and {self._changed}: "
                f"{type(exc).__name__}: {line}"
            ) from exc

    def _change(self, step: Step, name: str, old: Table, new: Table) -> None:
        change = TableChange(self._operations, old, new, is_large=self._is_large(old))
        if change.is_empty:
            return
        if not self._on_sqlite:
            lock_table(self._connection, new, exclusive=not change.only_adds_indexes)
        given = [fill for fill in step.operation.fills() if fill.resource == name]
        owners = [self._owner(fill, old) for fill in _of_owner(step)]
        fills = fills_of(step.before[name], step.after[name], given, next(iter(owners), None))
        change.loosen(fills.new, fills.filled_later)
        fills.apply(self._connection, new)
        self._missing += change.strengthen()

    def _is_large(self, table: Table) -> bool:
        """Return whether indexes are created after the transaction, see `migrations.sql.finishing`."""
        if self._on_sqlite:
            return False
        some = select(table.c.id).limit(SMALL + 1).subquery()
        return (self._connection.scalar(select(func.count()).select_from(some)) or 0) > SMALL

    def _drop(self, table: Table, all_of_them: Sequence[Table]) -> None:
        """Drop a table. Those that still refer to it are dropped later, if a cycle is undone."""
        if not self._on_sqlite:
            lock_table(self._connection, table)
            for each in all_of_them:
                for reference in each.foreign_key_constraints if each is not table else ():
                    if reference.referred_table is table:
                        self._operations.execute(DropConstraint(reference, if_exists=True))
        self._operations.execute(DropTable(table))

    def _present(self, step: Step) -> set[str]:
        """Return the tables that references may name: all but those that a later step creates."""
        later = {name for each in self._steps for name in each.after} - step.after.keys()
        return self._tables_of(step.after).keys() - later | {USERS.name}

    def _add_missing_references(self, step: Step) -> None:
        """Add the foreign keys whose tables exist by now."""
        present = self._present(step)
        for reference in self._missing:
            if reference.referred_table.name in present:
                self._operations.execute(AddConstraint(reference))
        self._missing = [each for each in self._missing if each.referred_table.name not in present]


def _is_about_rows(exc: DBAPIError) -> bool:
    """Return whether rows break a constraint, or a value has no place in its column."""
    state = getattr(exc.orig, "sqlstate", None) or ""
    return isinstance(exc, IntegrityError) or state[:2] in {"22", "23"}


def _of_owner(step: Step) -> list[Fill]:
    """Return the values that are owners: `owner_id` may also be the name of a field."""
    return [
        fill
        for fill in step.operation.fills()
        if fill.field == "owner_id" and "owner_id" not in step.after[fill.resource].by_name
    ]
