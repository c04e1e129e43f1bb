"""The values that a step of a revision gives to rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeAlias

from sqlalchemy import Column, ColumnElement, Table, bindparam, select, text, update

from backends.models import fold_case
from backends.models.resources.values import FROM_JSON

if TYPE_CHECKING:
    from sqlalchemy.engine import Connection

    from backends.models.resources import FieldSpec, ResourceSpec
    from migrations.resources.operations import Fill

BATCH = 1_000
"""The number of rows that are changed at once."""

Replaced: TypeAlias = tuple[str, Any, str | None]
"""A value that takes the place of null or of a choice: column, value, choice."""


@dataclass(slots=True)
class Fills:
    """What the rows of a resource get in a step.

    Attributes:
        new: The values of all rows in new columns.
        replaced: The values that take the place of null or of a choice.
        folded: The columns of texts whose folded texts are new or become required.
    """

    new: dict[str, Any] = field(default_factory=dict)
    replaced: list[Replaced] = field(default_factory=list)
    folded: list[str] = field(default_factory=list)

    @property
    def filled_later(self) -> set[str]:
        """The columns that get a value of its own in each row."""
        return {f"{column}_folded" for column in self.folded}

    def apply(self, connection: Connection, table: Table) -> None:
        """Change the rows, whose table has the columns of both specifications that are filled."""
        for each in self.replaced:
            is_replaced, given = _replacement(table, each)
            connection.execute(update(table).where(is_replaced).values(given))
        for column in self.folded:
            fold_missing(connection, table.c[column], table.c[f"{column}_folded"])


def fills_of(before: ResourceSpec, after: ResourceSpec, fills: Sequence[Fill], owner: str | None) -> Fills:
    """Return what the rows of a resource get.

    Args:
        before: The specification before the step.
        after: The specification after it.
        fills: The values that the operation gives.
        owner: The id of the user who gets the rows.
    """
    found = Fills()
    old = {each.column: each for each in before.fields}
    for fill in fills:
        if fill.field == "owner_id" and fill.field not in after.by_name:
            found.new[fill.field] = owner
            continue
        of = after.by_name[fill.field]
        value = python_value(of, fill.value)
        if of.column in old:
            found.replaced.append((of.column, value, fill.instead_of))
        else:
            found.new[of.column] = value
    for each in after.fields:
        if each.searchable and each.column not in old:
            value = found.new.get(each.column)
            found.new[f"{each.column}_folded"] = value and fold_case(value)
        elif each.searchable and (
            # A server of the revision before may have added rows without a form that may be null.
            not old[each.column].searchable or (old[each.column].nullable and not each.nullable)
        ):
            found.folded.append(each.column)
    return found


def python_value(of: FieldSpec, value: Any) -> Any:
    """Return a JSON value of a field in Python's types."""
    read = FROM_JSON.get(of.kind)
    return value if value is None or read is None else read(value)


def _replacement(table: Table, replaced: Replaced) -> tuple[ColumnElement[bool], dict[str, Any]]:
    """Return the condition of the rows that are changed, and their new values."""
    column, value, choice = replaced
    of = table.c[column]
    given = {column: value}
    if f"{column}_folded" in table.c:
        given[f"{column}_folded"] = value and fold_case(value)
    return of.is_(None) if choice is None else of == choice, given


def replace_in_batches(connection: Connection, table: Table, replaced: Replaced) -> None:
    """Change rows in batches on PostgreSQL, each in a transaction of its own.

    Rows that others have locked are left out, so that a batch waits for nobody.
    """
    is_replaced, given = _replacement(table, replaced)
    batch = select(table.c.id).where(is_replaced).order_by(table.c.id).limit(BATCH)
    rest = batch
    while True:
        picked = rest.with_for_update(key_share=True, skip_locked=True).cte("picked")
        change = update(table).where(table.c.id == picked.c.id).values(given).returning(table.c.id)
        ids = connection.scalars(change).all()
        if not ids:
            return
        rest = batch.where(table.c.id > max(ids))


def fold_missing(connection: Connection, text_: Column[Any], folded: Column[Any]) -> int:
    """Fold the texts whose folded text is missing; return the number of the changed rows.

    On PostgreSQL, rows that others have locked or change meanwhile are left out.
    """
    key, changed = text_.table.c.id, 0
    write = _fold_on_sqlite if connection.dialect.name == "sqlite" else _fold_on_postgres
    batch = select(key, text_).where(text_.is_not(None), folded.is_(None)).order_by(key).limit(BATCH)
    rest = batch
    while rows := connection.execute(rest).all():
        changed += write(connection, text_, folded, {id_: each for id_, each in rows})  # noqa: C416 - rows are no tuples for mypy
        # Continue after the last id: a scan from the start would pass all finished rows for each batch.
        rest = batch.where(key > rows[-1][0])
    return changed


def _fold_on_sqlite(
    connection: Connection, text_: Column[Any], folded: Column[Any], texts: Mapping[str, str]
) -> int:
    key = text_.table.c.id
    change = (
        update(folded.table)
        .where(key == bindparam("of_id", type_=key.type))
        .values({folded: bindparam("of_text", type_=folded.type)})
    )
    values = [{"of_id": id_, "of_text": fold_case(each)} for id_, each in texts.items()]
    connection.execute(change, values)
    return len(values)


def _fold_on_postgres(
    connection: Connection, text_: Column[Any], folded: Column[Any], texts: Mapping[str, str]
) -> int:
    """Change the rows in one statement: one for each row would take twice as long."""
    preparer = connection.dialect.identifier_preparer
    table, of = preparer.format_table(folded.table), preparer.format_column(text_)
    change = text(
        "WITH picked AS ("  # noqa: S608 - names that are quoted
        f"SELECT changed.id, given.folded FROM {table} AS changed "
        "JOIN unnest(CAST(:ids AS bytea[]), CAST(:texts AS text[]), CAST(:folded AS text[])) "
        f"AS given (id, was, folded) ON changed.id = given.id AND changed.{of} = given.was "
        "FOR NO KEY UPDATE OF changed SKIP LOCKED"
        f") UPDATE {table} AS changed SET {preparer.format_column(folded)} = picked.folded "
        "FROM picked WHERE changed.id = picked.id"
    )
    values = {
        "ids": [*map(bytes.fromhex, texts)],
        "texts": [*texts.values()],
        "folded": [*map(fold_case, texts.values())],
    }
    return connection.execute(change, values).rowcount
