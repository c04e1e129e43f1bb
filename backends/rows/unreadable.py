"""Names the row that a repository can't read."""

from __future__ import annotations

from backends.errors import UnreadableRow
from backends.models import Account, Item, Record, Transfer, User
from backends.rows.stored import Fields, Problem, RowKind, identity_of


def unreadable(kind: RowKind, fields: Fields, *, only: str | None = None) -> UnreadableRow:
    """Return the error that names the row and the first thing that is wrong with it.

    Args:
        kind: What is stored in it.
        fields: What it has.
        only: The field that is known to be at fault.
    """
    from backends.rows.rules import find_problems  # noqa: PLC0415 - needed on the way to an error only

    problems = [each for each in find_problems(kind, fields) if only in {None, each.field}]
    if not problems and only is not None:
        problems = [Problem(only, "can't be read")]
    return UnreadableRow(kind, identity_of(kind, fields), str(problems[0]) if problems else "can't be read")


def unreadable_record(record: Record, *, field: str) -> UnreadableRow:
    """Return the error that names the row of a record, of which this field can't be shown."""
    return unreadable(_KINDS[type(record)], record.fields(), only=field)


_KINDS: dict[type[Record], RowKind] = {
    User: "users",
    Item: "items",
    Account: "accounts",
    Transfer: "transfers",
}
