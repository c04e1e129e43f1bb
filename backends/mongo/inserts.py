"""Inserts documents of a resource that refer to documents that exist."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from backends.cancellation import run_to_completion
from backends.capabilities import Capability
from backends.errors import NotFound
from backends.idempotency import AddedRow, Success, read_outcome, write_outcome
from backends.mongo.errors import DuplicateKey, translate_errors
from backends.mongo.lookups import ById
from backends.mongo.schema import IDEMPOTENCY_KEYS, USERS, object_id
from backends.mongo.transactions import in_transaction

if TYPE_CHECKING:
    from datetime import datetime

    from backends.models import Idempotency, Row
    from backends.models.resources import ResourceSpec
    from backends.mongo.driver import Document, Driver, Session
    from backends.mongo.references import Parent, References


def _exists(_: Document) -> bool:
    return True


class Inserts:
    """The inserts into the collection of one resource."""

    def __init__(
        self,
        driver: Driver,
        spec: ResourceSpec,
        *,
        references: References,
        capabilities: frozenset[Capability],
        retry_deadline_seconds: float,
    ) -> None:
        """Use this driver for the collection of a resource."""
        self._driver = driver
        self._documents = driver.database[spec.name]
        self._keys = driver.database[IDEMPOTENCY_KEYS.name]
        self._references = references
        self._has_references = references.has_any(spec)
        self._is_owned = spec.owned
        self._has_transactions = Capability.TRANSACTIONS in capabilities
        self._retry_deadline_seconds = retry_deadline_seconds
        self._owners = ById(driver, driver.database[USERS.name], _exists, projection={"_id": 1})

    async def insert(self, documents: list[Document], parents: Sequence[Parent]) -> None:
        """Insert documents that refer to these parents; of several documents all or none.

        The owner of a document that has no other reference is read after the insert, not before. If the
        owner exists then, a later deletion of the owner finds the document; `MongoUserRepository.delete`
        is the counterpart. Any number of inserts and deletions may run concurrently for one owner, as with
        a foreign key.

        Raises:
            NotFound: The first parent that does not exist. Nothing was inserted.
            DuplicateKey: Another document has the id or the values of a unique group.
        """
        if self._has_references:
            await self._insert_linked(documents, parents)
        elif not self._is_owned:
            with translate_errors():
                await run_to_completion(self._insert(documents))
        else:
            owner = parents[0]
            if object_id(owner.id) is None:
                raise NotFound("user", owner.id)
            try:
                with translate_errors():
                    has_owner = await run_to_completion(self._insert_owned(documents))
            except DuplicateKey as duplicate:
                if duplicate.fields != ("id",):
                    await self._references.check(parents)
                raise
            if not has_owner:
                raise NotFound("user", owner.id)

    async def insert_once(
        self,
        document: Document,
        parents: Sequence[Parent],
        row: Row,
        *,
        ordered_by: str,
        idempotency: Idempotency,
        now: datetime,
    ) -> Row:
        """Insert a document and the outcome of the call in one transaction; return the row.

        Returns:
            `row`, or the row of the first call with this key.

        Raises:
            NotFound: As in `insert`.
            DuplicateKey: As in `insert`.
            IdempotencyKeyReused: The key was used with another fingerprint.
        """
        kept = {
            "owner_id": object_id(ordered_by),
            "key": idempotency.key,
            "fingerprint": idempotency.fingerprint,
            "outcome": write_outcome(AddedRow(row)),
            "created_at": now,
        }

        async def write(session: Session) -> None:
            # The key comes first: a repeated call fails there and writes to no parent.
            await self._keys.insert_one(kept, session=session)
            await self._references.touch(parents, session)
            await self._documents.insert_one(document, session=session)

        try:
            ids = [*(parent.id for parent in parents), ordered_by]
            await self._references.run(write, ids=ids, lost_connections=True)
        except (DuplicateKey, NotFound):
            outcome = await self._find_outcome(ordered_by, idempotency)
            if isinstance(outcome, AddedRow):  # the fingerprint includes the operation
                return outcome
            raise
        return row

    async def _find_outcome(self, ordered_by: str, idempotency: Idempotency) -> Success | None:
        with translate_errors():
            kept = await self._keys.find_one({"owner_id": object_id(ordered_by), "key": idempotency.key})
        return read_outcome(kept["outcome"], kept["fingerprint"], idempotency) if kept else None

    async def _insert_linked(self, documents: list[Document], parents: Sequence[Parent]) -> None:
        if not self._has_transactions:
            # Nothing that others refer to is deleted without transactions.
            with translate_errors():
                await self._references.check(parents)
                await self._documents.insert_one(documents[0])
            return

        async def write(session: Session) -> None:
            await self._references.touch(parents, session)
            await self._documents.insert_many(documents, session=session)

        await self._references.run(write, ids=[parent.id for parent in parents])

    async def _insert_owned(self, documents: list[Document]) -> bool:
        """Insert documents of one owner; if the owner does not exist, delete them and return False."""
        await self._insert(documents)
        if await self._has_owner(documents[0]):
            return True
        if len(documents) == 1:
            await self._documents.delete_one({"_id": documents[0]["_id"]})
            return False

        async def take_back(session: Session) -> None:
            ids = [document["_id"] for document in documents]
            await self._documents.delete_many({"_id": {"$in": ids}}, session=session)

        await in_transaction(self._driver, take_back, deadline_seconds=self._retry_deadline_seconds)
        return False

    async def _has_owner(self, document: Document) -> bool:
        return await self._owners.get(str(document["owner_id"])) is not None

    async def _insert(self, documents: list[Document]) -> None:
        if len(documents) == 1:
            async with self._driver.semaphore.slot():
                await self._documents.insert_one(documents[0])
            return

        async def insert(session: Session) -> None:
            await self._documents.insert_many(documents, session=session)

        await in_transaction(self._driver, insert, deadline_seconds=self._retry_deadline_seconds)
