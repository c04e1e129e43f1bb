"""Changes and deletions of documents of a resource, with the references that they add or remove."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from backends.capabilities import Capability
from backends.errors import NotSupported
from backends.mongo.errors import translate_errors

if TYPE_CHECKING:
    from backends.models.resources import ResourceSpec
    from backends.mongo.driver import Document, Driver, Session
    from backends.mongo.references import Parent, References


class Writes:
    """The changes and deletions in the collection of one resource."""

    def __init__(
        self,
        driver: Driver,
        spec: ResourceSpec,
        *,
        references: References,
        capabilities: frozenset[Capability],
    ) -> None:
        """Use this driver for the collection of a resource."""
        self._spec = spec
        self._documents = driver.database[spec.name]
        self._references = references
        self._is_target = references.is_target(spec)
        self._has_transactions = Capability.TRANSACTIONS in capabilities

    async def change(
        self, matches: Document, change: Document, parents: Sequence[Parent]
    ) -> Document | None:
        """Change a document and return it; return None if no document matches.

        A reference that keeps its value needs no transaction: what it names can't be deleted without a
        change of this document.

        Args:
            matches: The condition on the document.
            change: The update.
            parents: The documents that the changed references name.

        Raises:
            NotFound: The first parent that does not exist. Nothing was changed.
            DuplicateKey: Another document has the values of a unique group.
        """
        if not parents:
            return await self._change(matches, change)
        values = change["$set"]
        references = (field.column for field in self._spec.references)
        kept = {column: values[column] for column in references if values.get(column) is not None}
        document = await self._change(matches | kept, change)
        if document is not None:
            return document
        if not self._has_transactions:
            # Nothing that others refer to is deleted without transactions.
            await self._references.check(parents)
            return await self._change(matches, change)

        async def write(session: Session) -> Document | None:
            changed = await self._change(matches, change, session)
            if changed is not None:
                await self._references.touch(parents, session)
            return changed

        return await self._references.run(write, ids=[parent.id for parent in parents])

    async def _change(
        self, matches: Document, change: Document, session: Session | None = None
    ) -> Document | None:
        with translate_errors():
            return await self._documents.find_one_and_update(
                matches, change, return_document=True, session=session
            )

    async def delete(self, id: str, matches: Document) -> bool:
        """Delete a document and what refers to it; return False if no document matches.

        Args:
            id: The id of the document.
            matches: The condition on the document.

        Raises:
            StillReferenced: A document that would remain refers with `restrict`.
            NotSupported: Others refer to the collection, and the server has no transactions.
        """
        if not self._is_target:
            with translate_errors():
                return bool((await self._documents.delete_one(matches)).deleted_count)
        if not self._has_transactions:
            raise NotSupported(f"{self._spec.name}.delete", Capability.TRANSACTIONS)

        async def delete(session: Session) -> bool:
            deleted = await self._documents.delete_one(matches, session=session)
            if deleted.deleted_count:
                await self._references.delete_referring(self._spec.name, matches["_id"], session)
            return bool(deleted.deleted_count)

        return await self._references.run(delete, ids=[id])
