"""Errors about rows that a repository can't read."""

from __future__ import annotations

from backends.errors import UnreadableRow
from backends.models import Account, Item, StoredObject, Transfer, User
from backends.rows.stored import Fields, Problem, RowKind, identity_of


def unreadable(kind: RowKind, fields: Fields, *, only: str | None = None) -> UnreadableRow:
    """Return the error that names the row and its first violation.

    Args:
        kind: The kind of the row.
        fields: The values of the row.
        only: The field that can't be read, if known.
    """
    from backends.rows.rules import find_problems  # noqa: PLC0415 - needed for errors only

    problems = [each for each in find_problems(kind, fields) if only in {None, each.field}]
    if not problems and only is not None:
        problems = [Problem(only, "can't be read")]
    return UnreadableRow(kind, identity_of(kind, fields), str(problems[0]) if problems else "can't be read")


def unreadable_record(record: StoredObject, *, field: str) -> UnreadableRow:
    """Return the error about a record whose field `field` can't be serialised."""
    return unreadable(_KINDS[type(record)], record.fields(), only=field)


_KINDS: dict[type[StoredObject], RowKind] = {
    User: "users",
    Item: "items",
    Account: "accounts",
    Transfer: "transfers",
}
