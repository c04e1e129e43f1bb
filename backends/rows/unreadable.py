"""Errors about rows that a repository can't read."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from backends.errors import UnreadableRow
from backends.models import Account, StoredObject, Transfer, User
from backends.models.resources import Resource
from backends.rows.stored import Fields, Problem, RowKind, identity_of

if TYPE_CHECKING:
    from backends.models.resources import ResourceSpec


def unreadable(kind: RowKind, fields: Fields, *, only: str | None = None) -> UnreadableRow:
    """Return the error that names the row and its first violation.

    Args:
        kind: The kind of the row; one of `KINDS`.
        fields: The values of the row.
        only: The field that can't be read, if known.
    """
    from backends.rows.rules import find_problems  # noqa: PLC0415 - needed for errors only

    return _error(kind, fields, find_problems(kind, fields), only)


def unreadable_resource(spec: ResourceSpec, fields: Fields, *, only: str | None = None) -> UnreadableRow:
    """Return the error about a row of a resource; see `unreadable`."""
    from backends.rows.resource_rules import find_form_problems  # noqa: PLC0415 - needed for errors only

    return _error(spec.name, fields, find_form_problems(spec, fields), only)


def unreadable_record(record: StoredObject, *, field: str) -> UnreadableRow:
    """Return the error about a record whose field `field` can't be serialised."""
    if isinstance(record, Resource):
        return unreadable_resource(record.__resource__, record.fields(), only=field)
    return unreadable(_KINDS[type(record)], record.fields(), only=field)


def _error(kind: RowKind, fields: Fields, found: Sequence[Problem], only: str | None) -> UnreadableRow:
    problems = [each for each in found if only in {None, each.field.partition(".")[0]}]
    if not problems and only is not None:
        problems = [Problem(only, "can't be read")]
    return UnreadableRow(kind, identity_of(kind, fields), str(problems[0]) if problems else "can't be read")


_KINDS: dict[type[StoredObject], RowKind] = {User: "users", Account: "accounts", Transfer: "transfers"}
