"""The references between rows, users included."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import lmdb

from backends.errors import StillReferenced
from backends.models.resources import OnDelete, Resource, ResourceSpec
from eitherdb_lmdb.rows import USERS, table_of
from eitherdb_lmdb.tables import Table


@dataclass(frozen=True)
class _Reference:
    """A field of the rows of a table that refers to other rows, or their owner."""

    table: Table[Any]
    field: str
    on_delete: OnDelete

    def ids(self, transaction: lmdb.Transaction, of: str) -> list[str]:
        """Return the ids of the rows that refer to `of`."""
        index = "created_at" if self.field == "owner_id" else self.field
        return self.table.ids(transaction, index, of)


class References:
    """The references between the rows of all resources. Each method is a part of a transaction.

    Attributes:
        tables: The tables of the resources and that of users, by name.
    """

    def __init__(self, classes: Mapping[str, type[Resource]]) -> None:
        """Index the references of these classes by the tables that they refer to."""
        self.tables = {USERS.name: USERS, **{name: table_of(cls) for name, cls in classes.items()}}
        self._to: dict[str, list[_Reference]] = defaultdict(list)
        for name, cls in classes.items():
            table, spec = self.tables[name], cls.__resource__
            if spec.owned:
                self._to[USERS.name].append(_Reference(table, "owner_id", "cascade"))
            for field in spec.references:
                reference = _Reference(table, field.name, field.on_delete or "restrict")
                self._to[field.target or ""].append(reference)

    def check(self, transaction: lmdb.Transaction, spec: ResourceSpec, values: Mapping[str, Any]) -> None:
        """Raise NotFound for the first of these values that refers to a row that does not exist."""
        for name, target in (
            ("owner_id", USERS.name),
            *((field.name, field.target or "") for field in spec.references),
        ):
            if values.get(name) is not None:
                self.tables[target].require(transaction, values[name])

    def delete(self, transaction: lmdb.Transaction, name: str, id: str) -> None:
        """Delete a row, and change or delete those that refer to it.

        Raises:
            StillReferenced: A row that would remain refers with `restrict`.
        """
        doomed = {(name, id): None}
        ahead = [(name, id)]
        for of_name, of_id in ahead:  # grows meanwhile
            for each in self._to[of_name]:
                if each.on_delete == "cascade":
                    found = [(each.table.name, id_) for id_ in each.ids(transaction, of_id)]
                    ahead += [row for row in found if row not in doomed]
                    doomed |= dict.fromkeys(found)
        for each, _ in self._remaining(transaction, doomed, "restrict"):
            raise StillReferenced(self.tables[name].entity, id, each.table.entity)
        for each, id_ in self._remaining(transaction, doomed, "set_null"):
            row = each.table.require(transaction, id_)
            changes = {each.field: None, "version": row.version + 1}
            each.table.put(transaction, each.table.record.of_fields(row.fields() | changes))
        for of_name, of_id in doomed:
            self.tables[of_name].delete(transaction, of_id)

    def _remaining(
        self, transaction: lmdb.Transaction, doomed: Mapping[tuple[str, str], None], rule: OnDelete
    ) -> Iterator[tuple[_Reference, str]]:
        """Yield the references with this rule from rows that remain, and the ids of these rows."""
        for of_name, of_id in doomed:
            for each in self._to[of_name]:
                if each.on_delete == rule:
                    for id_ in each.ids(transaction, of_id):
                        if (each.table.name, id_) not in doomed:
                            yield each, id_
