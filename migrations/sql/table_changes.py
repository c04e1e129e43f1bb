"""Changes a table from one specification to the next through Alembic's operations."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from collections.abc import Set as AbstractSet
from typing import TYPE_CHECKING, Any, TypeAlias

from sqlalchemy import (
    CheckConstraint,
    Column,
    Constraint,
    ForeignKeyConstraint,
    Index,
    Text,
    UniqueConstraint,
    cast,
    literal,
    select,
    update,
)
from sqlalchemy.schema import AddConstraint, CreateIndex, CreateTable, DropConstraint, DropIndex

from migrations.sql import prepared

if TYPE_CHECKING:
    from alembic.operations import Operations
    from sqlalchemy import Dialect, Table

Definitions: TypeAlias = Mapping[str, tuple[Constraint | Index, str]]
"""The constraints and indexes of a table by name, each with its DDL, by which they are compared."""


def definitions(table: Table, dialect: Dialect) -> Definitions:
    """Return the constraints and indexes of a table, its primary key aside."""
    found: dict[str, tuple[Constraint | Index, str]] = {}
    for constraint in table.constraints:
        if isinstance(constraint, CheckConstraint | ForeignKeyConstraint | UniqueConstraint):
            added = AddConstraint(constraint, isolate_from_table=False)
            found[str(constraint.name)] = constraint, str(added.compile(dialect=dialect))
    for index in indexes_of(table, dialect):
        found[str(index.name)] = index, str(CreateIndex(index).compile(dialect=dialect))
    return found


def indexes_of(table: Table, dialect: Dialect) -> Iterator[Index]:
    """Yield the indexes that the dialect has: SQLite has none on the elements of lists."""
    for index in sorted(table.indexes, key=lambda each: str(each.name)):
        if dialect.name == "postgresql" or "postgresql_using" not in index.info:
            yield index


class TableChange:
    """The change of a table: what is new is added loosely, then rows may be filled, then it is made strict.

    On SQLite, which can't alter a column, the last step makes the table again in Alembic's batch mode.
    """

    def __init__(
        self, operations: Operations, before: Table, after: Table, *, is_large: bool = False
    ) -> None:
        """Compare two definitions of a table whose columns have their names as keys.

        Args:
            operations: Alembic's operations on the connection.
            before: The table as it is.
            after: The table as it becomes.
            is_large: Whether `migrations.sql.finishing` creates the indexes and validates what follows by
                itself from the rows, so that others wait for a short time only. PostgreSQL only.
        """
        self._operations = operations
        self._dialect = operations.get_bind().dialect
        self._on_sqlite = self._dialect.name == "sqlite"
        self._name = after.name
        self._quoted = self._dialect.identifier_preparer.format_table(after)
        self._before, self._after = before, after
        old, new = definitions(before, self._dialect), definitions(after, self._dialect)
        self._gone = [each for name, (each, ddl) in old.items() if name not in new or new[name][1] != ddl]
        self._is_large = is_large
        self._new = [
            each
            for name, (each, ddl) in new.items()
            if (name not in old or old[name][1] != ddl) and not (is_large and isinstance(each, Index))
        ]
        self._added = [column for column in after.columns if column.name not in before.columns]
        self._dropped = [column for column in before.columns if column.name not in after.columns]
        kept = [column for column in after.columns if column.name in before.columns]
        self._altered = [column for column in kept if self._differs(column)]
        self._loose: AbstractSet[str] = frozenset()
        self._given: AbstractSet[str] = frozenset()

    @property
    def is_empty(self) -> bool:
        """Whether the database has nothing to do."""
        return not (self._gone or self._new or self.changes_columns)

    @property
    def changes_columns(self) -> bool:
        """Whether a column is added, dropped or altered."""
        return bool(self._added or self._dropped or self._altered)

    @property
    def only_adds_indexes(self) -> bool:
        """Whether reads may go on meanwhile."""
        return not self._gone and not self.changes_columns and all(isinstance(x, Index) for x in self._new)

    @property
    def new_checks(self) -> list[CheckConstraint]:
        """The CHECKs to add whose columns the table has, and those of columns that become NOT NULL."""
        checks = [
            each
            for each in self._new
            if isinstance(each, CheckConstraint)
            and all(name in self._before.columns for name in prepared.columns_of_check(each))
        ]
        required = [each for each in self._altered if not each.nullable]
        return checks + [
            prepared.not_null_check(self._after, each.name)
            for each in required
            if self._before.columns[each.name].nullable
        ]

    @property
    def new_groups(self) -> list[UniqueConstraint]:
        """The unique constraints to add whose columns the table has."""
        return [
            each
            for each in self._new
            if isinstance(each, UniqueConstraint)
            and all(column.name in self._before.columns for column in each.columns)
        ]

    def _differs(self, column: Column[Any]) -> bool:
        was = self._before.columns[column.name]
        return was.nullable != column.nullable or self._type(was) != self._type(column)

    def _type(self, column: Column[Any]) -> str:
        return column.type.compile(dialect=self._dialect)

    def loosen(self, values: Mapping[str, Any], filled_later: AbstractSet[str]) -> None:
        """Add the new columns, and drop the constraints and indexes that the table has no more.

        Args:
            values: The values that existing rows get in new columns.
            filled_later: The new columns that are filled before `strengthen`.
        """
        self._loose = filled_later
        self._given = {name for name, value in values.items() if value is not None}
        if self._on_sqlite:
            self._add_columns_on_sqlite(values)
            return
        for each in self._gone:
            self._operations.execute(_drop(each))
        for column in self._added:
            if not self._take_over_column(column):
                self._add_column(column, values.get(column.name), is_loose=column.name in self._loose)

    def strengthen(self) -> list[ForeignKeyConstraint]:
        """Make the table as strict as it is declared; return the foreign keys that are still missing."""
        if self._on_sqlite:
            self._finish_on_sqlite()
            return []
        for column in self._altered:
            self._alter(column, self._before.columns[column.name])
        for column in self._added:
            if column.name in self._loose and not column.nullable:
                self._operations.alter_column(
                    self._name, column.name, existing_type=column.type, nullable=False
                )
        for each in self._new:
            if not isinstance(each, ForeignKeyConstraint) and not self._take_over(each):
                self._operations.execute(_add(each))
        for column in self._dropped:
            self._operations.drop_column(self._name, column.name)
        return [self._reference(each) for each in self._new if isinstance(each, ForeignKeyConstraint)]

    def _take_over(self, each: Constraint | Index) -> bool:
        """Let a prepared one be the constraint; return whether there was one."""
        if not self._is_large or not isinstance(each, CheckConstraint | UniqueConstraint):
            return False
        connection = self._operations.get_bind()
        name = prepared.constraint_name(each, self._dialect)
        if is_there := prepared.is_prepared(connection, name):
            self._operations.execute(prepared.take_over(connection, each, name))
        return is_there

    def _take_over_column(self, column: Column[Any]) -> bool:
        """Give a prepared column of folded texts its name; return whether there was one."""
        if not self._is_large or column.name not in self._loose:
            return False
        connection = self._operations.get_bind()
        name = prepared.folded_name(self._name, column.name.removesuffix("_folded"))
        if is_there := prepared.is_prepared(connection, name):
            for statement in prepared.take_over_folded(connection, self._after, column.name, name):
                self._operations.execute(statement)
        return is_there

    def _reference(self, reference: ForeignKeyConstraint) -> ForeignKeyConstraint:
        """Return a foreign key, which is validated later if all rows have null, or had the same one."""
        (column,) = reference.column_keys
        if self._is_large and column not in self._given:
            reference.dialect_kwargs["postgresql_not_valid"] = True
        return reference

    def _add_column(self, column: Column[Any], value: Any, *, is_loose: bool) -> None:
        """Add a column. A default fills it without writing a row, however many there are."""
        default = None if value is None else self._as_text(column, value)
        nullable = column.nullable or is_loose
        added: Column[Any] = Column(column.name, column.type, nullable=nullable, server_default=default)
        self._operations.add_column(self._name, added)
        if default is not None:
            self._operations.alter_column(
                self._name, column.name, existing_type=column.type, server_default=None
            )

    def _as_text(self, column: Column[Any], value: Any) -> str:
        """Let the database write the value; DDL takes no parameters."""
        written = select(cast(literal(value, column.type), Text))
        return str(self._operations.get_bind().scalar(written))

    def _alter(self, column: Column[Any], was: Column[Any]) -> None:
        if self._type(column) != self._type(was):
            self._operations.alter_column(
                self._name, column.name, existing_type=was.type, type_=column.type
            )
        if column.nullable != was.nullable:
            self._operations.alter_column(
                self._name, column.name, existing_type=column.type, nullable=column.nullable
            )
            self._drop_check(column)

    def _drop_check(self, column: Column[Any]) -> None:
        """Drop the CHECK that was prepared for NOT NULL, if there is one."""
        if self._is_large and not column.nullable:
            check = prepared.not_null_check(self._after, column.name)
            name = prepared.constraint_name(check, self._dialect)
            self._operations.execute(f"ALTER TABLE {self._quoted} DROP CONSTRAINT IF EXISTS {name}")

    def _add_columns_on_sqlite(self, values: Mapping[str, Any]) -> None:
        for column in self._added:
            self._operations.add_column(self._name, Column(column.name, column.type, nullable=True))
        given = {name: value for name, value in values.items() if value is not None}
        if given:
            self._operations.execute(update(self._after).values(given))

    def _finish_on_sqlite(self) -> None:
        are_indexes = all(isinstance(each, Index) for each in (*self._gone, *self._new))
        if are_indexes and not self.changes_columns:
            for each in self._gone:
                self._operations.execute(_drop(each))
            for each in self._new:
                self._operations.execute(_add(each))
            return
        indexes = list(indexes_of(self._after, self._dialect))
        # Alembic would create the indexes that only PostgreSQL has.
        self._after.indexes.clear()
        with self._operations.batch_alter_table(self._name, recreate="always", copy_from=self._after):
            pass  # the table is already as it shall become
        for index in indexes:
            self._operations.execute(CreateIndex(index))


def create_table(operations: Operations, table: Table, present: set[str]) -> list[ForeignKeyConstraint]:
    """Create a table; return the foreign keys to tables that are not present yet, which it lacks."""
    dialect = operations.get_bind().dialect
    missing = []
    if dialect.name == "postgresql":
        missing = [
            each
            for each in table.foreign_key_constraints
            if each.referred_table.name not in {*present, table.name}
        ]
    included = [each for each in table.foreign_key_constraints if each not in missing]
    operations.execute(CreateTable(table, include_foreign_key_constraints=included))
    for index in indexes_of(table, dialect):
        operations.execute(CreateIndex(index))
    return missing


def _add(each: Constraint | Index) -> CreateIndex | AddConstraint:
    return CreateIndex(each) if isinstance(each, Index) else AddConstraint(each)


def _drop(each: Constraint | Index) -> DropIndex | DropConstraint:
    if isinstance(each, Index):
        return DropIndex(each, if_exists=True)  # an interrupted run has not created it
    # A foreign key is gone if the table that it refers to is.
    return DropConstraint(each, if_exists=isinstance(each, ForeignKeyConstraint))
