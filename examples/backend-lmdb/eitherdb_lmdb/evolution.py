"""Changes the rows of declared resources as a revision says. A call is a part of a transaction."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import datetime
from typing import Any

import lmdb

from backends.models.resources import ResourceSpec
from backends.rows import json_fields
from eitherdb_lmdb.keys import remove, walk
from eitherdb_lmdb.rows import USERS, table_with
from migrations.resources.history import History
from migrations.resources.rows import Row, RowStore, changed_rows
from migrations.resources.violations import Direction


class _StoredRow:
    """A row of a specification: no class declares the resource as it was in an old revision."""

    def __init__(self, spec: ResourceSpec, row: Row) -> None:
        self._row = row
        self._fields = dict(json_fields(spec, row))
        self.id: str = row["id"]
        self.owner_id: str | None = row.get("owner_id")
        self.created_at: datetime = self._fields["created_at"]
        self.version: int = row["version"]

    def fields(self) -> dict[str, Any]:
        return self._fields

    def to_row(self) -> Row:
        return self._row


def change_rows(transaction: lmdb.Transaction, history: History, number: str, direction: Direction) -> None:
    """Apply or undo a revision: write the rows of the changed resources, and all their indexes, again.

    Raises:
        MigrationError: Rows break a rule of the revision, or it can't be undone.
    """
    revision = history.revision(number)
    steps = revision.steps if direction == "upgrade" else revision.undoing()
    state = revision.after if direction == "upgrade" else revision.before

    def user_id(email: str) -> str | None:
        user = USERS.find(transaction, email=email)
        return user.id if user else None

    def read(name: str) -> Iterator[Row]:
        return (json.loads(text) for _, text in walk(transaction, f"{name}:".encode()))

    store = RowStore(read, user_id)
    for name, rows in changed_rows(store, f"{history.name}:{number}", steps, direction).items():
        for kind in (":", "#", "!"):
            remove(transaction, f"{name}{kind}".encode())
        if name in state:
            spec = state[name]
            table_with(spec, _StoredRow).put(transaction, *(_StoredRow(spec, row) for row in rows))
