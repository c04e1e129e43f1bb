"""Finds out which unique group of a resource a write violated."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from backends.errors import AlreadyExists
from backends.mongo.errors import translate_errors

if TYPE_CHECKING:
    from backends.models.resources import ResourceSpec
    from backends.mongo.driver import Collection, Document
    from backends.mongo.errors import DuplicateKey


class Violations:
    """The violations of one resource's unique groups.

    MongoDB names the index that it checked first: the oldest one, which a revision may have created again.
    The queries here find the first one in the order of the protocol.
    """

    def __init__(self, documents: Collection, spec: ResourceSpec) -> None:
        """Ask this collection."""
        self._documents = documents
        self._entity = spec.entity
        self._names = {field.column: field.name for field in spec.fields}
        columns = {field.name: field.column for field in spec.fields}
        self._groups = [[columns.get(name, name) for name in group] for group in spec.unique]

    async def explain(self, duplicate: DuplicateKey, *documents: Document) -> AlreadyExists:
        """Return the error about what another document has. Queries run for errors of several groups only.

        Args:
            duplicate: What MongoDB says.
            documents: The documents that were to be written, whole.
        """
        fields: Sequence[str] = duplicate.fields
        if len(self._groups) > 1 and tuple(fields) != ("id",):
            for group in self._groups:
                if await self._is_taken(group, documents):
                    fields = group
                    break
        return AlreadyExists(self._entity, ",".join(self._names.get(column, column) for column in fields))

    async def _is_taken(self, group: Sequence[str], documents: Sequence[Document]) -> bool:
        seen = []
        for document in documents:
            values = {column: document.get(column) for column in group}
            if None in values.values():
                continue
            if values in seen:
                return True
            seen.append(values)
            with translate_errors():
                if await self._documents.find_one({**values, "_id": {"$ne": document["_id"]}}, {"_id": 1}):
                    return True
        return False
