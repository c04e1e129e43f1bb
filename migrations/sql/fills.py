"""The values that a step of a revision gives to rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from sqlalchemy import Column, Table, bindparam, select, text, update

from backends.models import fold_case
from backends.models.resources.values import FROM_JSON

if TYPE_CHECKING:
    from sqlalchemy.engine import Connection

    from backends.models.resources import FieldSpec, ResourceSpec
    from migrations.resources.operations import Fill

BATCH = 1_000
"""The number of texts that are folded at once."""


@dataclass(slots=True)
class Fills:
    """What the rows of a resource get in a step.

    Attributes:
        new: The values of all rows in new columns.
        replaced: The values that take the place of null or of a choice: column, value, choice.
        folded: The columns of texts whose folded texts a new column gets.
    """

    new: dict[str, Any] = field(default_factory=dict)
    replaced: list[tuple[str, Any, str | None]] = field(default_factory=list)
    folded: list[str] = field(default_factory=list)

    @property
    def filled_later(self) -> set[str]:
        """The new columns that get a value of its own in each row."""
        return {f"{column}_folded" for column in self.folded}

    def apply(self, connection: Connection, table: Table) -> None:
        """Change the rows, whose table has the columns of both specifications that are filled."""
        for column, value, choice in self.replaced:
            of = table.c[column]
            given = {column: value}
            if f"{column}_folded" in table.c:
                given[f"{column}_folded"] = value and fold_case(value)
            is_replaced = of.is_(None) if choice is None else of == choice
            connection.execute(update(table).where(is_replaced).values(given))
        for column in self.folded:
            _fold(connection, table, column)


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
        elif each.searchable and not old[each.column].searchable:
            found.folded.append(each.column)
    return found


def python_value(of: FieldSpec, value: Any) -> Any:
    """Return a JSON value of a field in Python's types."""
    read = FROM_JSON.get(of.kind)
    return value if value is None or read is None else read(value)


def _fold(connection: Connection, table: Table, column: str) -> None:
    """Fill the column of the folded texts of a column."""
    text_, folded = table.c[column], table.c[f"{column}_folded"]
    batch = select(table.c.id, text_).where(text_.is_not(None)).order_by(table.c.id).limit(BATCH)
    write = _fold_on_sqlite if connection.dialect.name == "sqlite" else _fold_on_postgres
    rest = batch
    while rows := connection.execute(rest).all():
        write(connection, folded, {id_: fold_case(each) for id_, each in rows})
        # Continue after the last id: a scan from the start would pass all finished rows for each batch.
        rest = batch.where(table.c.id > rows[-1][0])


def _fold_on_sqlite(connection: Connection, folded: Column[Any], texts: Mapping[str, str]) -> None:
    key = folded.table.c.id
    change = (
        update(folded.table)
        .where(key == bindparam("of_id", type_=key.type))
        .values({folded: bindparam("of_text", type_=folded.type)})
    )
    connection.execute(change, [{"of_id": id_, "of_text": each} for id_, each in texts.items()])


def _fold_on_postgres(connection: Connection, folded: Column[Any], texts: Mapping[str, str]) -> None:
    """Change the rows in one statement: one for each row would take twice as long."""
    preparer = connection.dialect.identifier_preparer
    table, name = preparer.format_table(folded.table), preparer.format_column(folded)
    change = text(
        f"UPDATE {table} SET {name} = given.folded "  # noqa: S608 - names that are quoted
        "FROM unnest(CAST(:ids AS bytea[]), CAST(:texts AS text[])) AS given (id, folded) "
        f"WHERE {table}.id = given.id"
    )
    connection.execute(change, {"ids": [*map(bytes.fromhex, texts)], "texts": [*texts.values()]})
