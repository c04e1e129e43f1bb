"""References between documents: `docs/adr/0025-declared-references-on-mongodb.md`.

A transaction that adds a reference also writes to the document that it refers to. So it conflicts with the
transaction that deletes that document, and one of the two sees the other's result.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeVar

from backends.cancellation import run_to_completion
from backends.concurrency import KeyedLocks
from backends.errors import Conflict, NotFound, StillReferenced
from backends.mongo.abandoned import AbandonedTransactions
from backends.mongo.resource_collections import REFERENCES
from backends.mongo.schema import USERS, object_id
from backends.mongo.transactions import in_transaction, transact
from backends.retry import retry_conflicts

if TYPE_CHECKING:
    from bson import ObjectId

    from backends.models.resources import FieldSpec, OnDelete, ResourceSpec
    from backends.mongo.driver import Document, Driver, Session

T = TypeVar("T")

MOST_DELETED = 2**31 - 1
"""No limit: a deletion deletes every row that refers to the deleted one."""

_COUNTERS = {USERS.name: "accounts_opened"}


@dataclass(frozen=True, slots=True)
class Parent:
    """A document that a new reference names.

    Attributes:
        table: The name of its collection.
        id: Its id, which may be malformed.
    """

    table: str
    id: str


@dataclass(slots=True)
class _Doomed:
    """The documents of one collection that a deletion deletes.

    Attributes:
        conditions: A document is deleted if it matches one of them.
        ids: The ids of the documents, where other documents may refer to them.
    """

    conditions: list[Document] = field(default_factory=list)
    ids: set[ObjectId] = field(default_factory=set)


class References:
    """The references of all resources of a backend."""

    def __init__(
        self,
        driver: Driver,
        specs: Sequence[ResourceSpec],
        *,
        wait_timeout_seconds: float,
        retry_deadline_seconds: float,
    ) -> None:
        """Index the references by their targets.

        Args:
            driver: The driver that runs the transactions.
            specs: All resources of the backend.
            wait_timeout_seconds: The time for which calls with a common parent wait for each other.
            retry_deadline_seconds: The time for retries of a transaction.
        """
        self._driver = driver
        self._retry_deadline_seconds = retry_deadline_seconds
        self._locks = KeyedLocks(wait_timeout_seconds=wait_timeout_seconds)
        self._abandoned = AbandonedTransactions(driver)
        self._entities = {USERS.name: "user", **{spec.name: spec.entity for spec in specs}}
        self._specs = {spec.name: spec for spec in specs}
        self._to: dict[str, list[tuple[ResourceSpec, FieldSpec]]] = defaultdict(list)
        for spec in specs:
            for each in spec.references:
                self._to[each.target or ""].append((spec, each))
        self.swept = tuple(spec.name for spec in specs if spec.owned and not self.has_any(spec))
        """The collections whose documents have an owner and no other reference: see ADR 0005."""

    def has_any(self, spec: ResourceSpec) -> bool:
        """Return whether the resource has references, or others refer to it."""
        return bool(spec.references) or self.is_target(spec)

    def is_target(self, spec: ResourceSpec) -> bool:
        """Return whether resources refer to this one."""
        return bool(self._to.get(spec.name))

    async def run(
        self,
        body: Callable[[Session], Awaitable[T]],
        *,
        ids: Iterable[str],
        lost_connections: bool = False,
    ) -> T:
        """Run a transaction that adds or removes references; retry it after a conflict.

        Args:
            body: The commands of the transaction.
            ids: The documents that others may write in their transactions. The calls of this process
                wait for each other instead of conflicting.
            lost_connections: Whether to retry also if the outcome of the commit is unknown. The body must
                then fail if it was committed.
        """

        async def attempt() -> T:
            try:
                if lost_connections:
                    return await transact(self._driver, body)
                return await in_transaction(
                    self._driver, body, deadline_seconds=self._retry_deadline_seconds
                )
            except Conflict:
                await self._abandoned.end()
                raise

        if not self._to:  # Nothing refers to anything: the transaction has few others to conflict with.
            return await in_transaction(self._driver, body, deadline_seconds=self._retry_deadline_seconds)
        async with self._locks.hold(sorted(set(ids))):
            # Each attempt retries itself: other processes may add references to the same documents.
            return await retry_conflicts(
                lambda: run_to_completion(attempt()),
                deadline_seconds=self._retry_deadline_seconds,
                lost_connections=lost_connections,
            )

    async def touch(self, parents: Sequence[Parent], session: Session) -> None:
        """Write to the documents that new references name.

        Raises:
            NotFound: The first of them that does not exist.
        """
        ids: dict[str, set[ObjectId | None]] = defaultdict(set)
        for parent in parents:
            ids[parent.table].add(object_id(parent.id))
        for table, wanted in ids.items():
            found = await self._driver.database[table].update_many(
                {"_id": {"$in": list(wanted)}},
                {"$inc": {_COUNTERS.get(table, REFERENCES): 1}},
                session=session,
            )
            if found.matched_count < len(wanted):
                await self.check(parents, session)

    async def check(self, parents: Iterable[Parent], session: Session | None = None) -> None:
        """Raise NotFound for the first document that does not exist."""
        for parent in parents:
            where = {"_id": object_id(parent.id)}
            found = await self._driver.database[parent.table].find_one(where, {"_id": 1}, session=session)
            if found is None:
                raise NotFound(self._entities[parent.table], parent.id)

    async def delete_referring(self, table: str, id: ObjectId, session: Session) -> None:
        """Delete or change the documents that refer to a document, which the transaction has deleted.

        Raises:
            StillReferenced: A document that would remain refers with `restrict`.
        """
        doomed = await self._find_doomed(table, id, session)
        for spec, where, _ in self._remaining(doomed, "restrict"):
            referring = self._driver.database[spec.name]
            if await referring.find_one(where, {"_id": 1}, session=session) is not None:
                raise StillReferenced(self._entities[table], str(id), spec.entity)
        for spec, where, column in self._remaining(doomed, "set_null"):
            change = {"$set": {column: None}, "$inc": {"version": 1}}
            await self._driver.database[spec.name].update_many(where, change, session=session)
        for name, each in doomed.items():
            if each.conditions:
                where = each.conditions[0] if len(each.conditions) == 1 else {"$or": each.conditions}
                await self._driver.database[name].delete_many(where, session=session)

    def _remaining(
        self, doomed: Mapping[str, _Doomed], rule: OnDelete
    ) -> Iterator[tuple[ResourceSpec, Document, str]]:
        """Return the documents that remain and refer to deleted ones with this rule.

        Returns:
            The resource, the condition on its documents, and the referring column.
        """
        for name, each in doomed.items():
            for spec, reference in self._to.get(name, ()) if each.ids else ():
                if reference.on_delete == rule:
                    where: Document = {reference.column: {"$in": sorted(each.ids)}}
                    if spec.name in doomed and doomed[spec.name].conditions:
                        where["$nor"] = doomed[spec.name].conditions
                    yield spec, where, reference.column

    async def _find_doomed(self, table: str, id: ObjectId, session: Session) -> dict[str, _Doomed]:
        """Return the documents that are deleted with a document, by their collections."""
        doomed: dict[str, _Doomed] = defaultdict(_Doomed)
        doomed[table].ids.add(id)
        found = [(table, [id])]
        while found:
            name, ids = found.pop()
            for spec, column in self._cascading(name):
                condition: Document = {column: ids[0] if len(ids) == 1 else {"$in": ids}}
                doomed[spec.name].conditions.append(condition)
                if not self.is_target(spec):
                    continue
                documents = self._driver.database[spec.name].find(condition, {"_id": 1}, session=session)
                new = {each["_id"] for each in await documents.to_list(MOST_DELETED)}
                new -= doomed[spec.name].ids
                if new:
                    doomed[spec.name].ids |= new
                    found.append((spec.name, sorted(new)))
        return doomed

    def _cascading(self, table: str) -> Iterable[tuple[ResourceSpec, str]]:
        """Return the resources whose rows are deleted with a row of a table, and the referring columns."""
        if table == USERS.name:
            yield from ((spec, "owner_id") for spec in self._specs.values() if spec.owned)
        for spec, reference in self._to.get(table, ()):
            if reference.on_delete == "cascade":
                yield spec, reference.column
