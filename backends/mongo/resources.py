"""The rows of a resource in MongoDB."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from pydantic import BaseModel

from backends.capabilities import Capability
from backends.errors import NotSupported
from backends.ids import Clock, IdSource
from backends.models import Idempotency, Page, Position
from backends.models.resources import Resource, ResourceSpec
from backends.models.resources.filters import require_known
from backends.models.resources.forms import values_of
from backends.mongo.conditions import Conditions
from backends.mongo.documents import DocumentMap, decoder_of, encoder_of
from backends.mongo.errors import DuplicateKey, translate_errors
from backends.mongo.inserts import Inserts
from backends.mongo.lookups import ById
from backends.mongo.pages import Order, fetch_page
from backends.mongo.references import Parent, References
from backends.mongo.schema import USERS, object_id
from backends.mongo.violations import Violations
from backends.mongo.writes import Writes
from backends.protocols.resources import NO_FILTERS
from backends.resource_rows import accessible, change_row, refusal

if TYPE_CHECKING:
    from backends.mongo.driver import Document, Driver

R = TypeVar("R", bound=Resource)


def _orders_of(spec: ResourceSpec) -> Mapping[str, Order]:
    """Return the orders of lists by `sort`."""
    orders: dict[str, Order] = {}
    for sign in ("", "-"):
        orders[f"{sign}created_at"] = Order("created_at", descending=bool(sign))
        for field in spec.fields:
            if field.sortable:
                orders[sign + field.name] = Order(
                    field.column,
                    descending=bool(sign),
                    nullable=field.nullable,
                    encode=encoder_of(field),
                    decode=decoder_of(field),
                )
    return orders


class MongoResourceRepository(Generic[R]):
    """`backends.protocols.ResourceRepository`.

    Each method is one command, except `add` and `add_many`, and writes that change references.
    """

    def __init__(
        self,
        driver: Driver,
        cls: type[R],
        *,
        references: References,
        capabilities: frozenset[Capability],
        retry_deadline_seconds: float,
        clock: Clock,
        id_source: IdSource,
    ) -> None:
        """Use this driver, clock and source of ids for the rows of a class."""
        self.spec: ResourceSpec = cls.__resource__
        self._cls = cls
        self._driver = driver
        self._references = references
        self._capabilities = capabilities
        self._clock = clock
        self._id_source = id_source
        self._documents = driver.database[self.spec.name]
        self._map = DocumentMap(cls)
        self._conditions = Conditions(self.spec)
        self._orders = _orders_of(self.spec)
        self._groups = {frozenset(group) for group in self.spec.unique}
        self._violations = Violations(self._documents, self.spec)
        self._by_id = ById(driver, self._documents, self._map.to_model)
        self._writes = Writes(driver, self.spec, references=references, capabilities=capabilities)
        self._inserts = Inserts(
            driver,
            self.spec,
            references=references,
            capabilities=capabilities,
            retry_deadline_seconds=retry_deadline_seconds,
        )

    async def add(
        self,
        new: BaseModel,
        *,
        owner_id: str | None = None,
        idempotency: Idempotency | None = None,
        ordered_by: str | None = None,
    ) -> R:
        """See the protocol."""
        if idempotency is not None and Capability.TRANSACTIONS not in self._capabilities:
            raise NotSupported(f"{self.spec.name}.add with an idempotency key", Capability.TRANSACTIONS)
        (row,), documents, parents = self._new_rows([new], owner_id)
        try:
            if idempotency is None:
                await self._inserts.insert(documents, parents)
                return row
            added = await self._inserts.insert_once(
                documents[0],
                parents,
                row.to_row(),
                ordered_by=ordered_by or owner_id or "",
                idempotency=idempotency,
                now=row.created_at,
            )
        except DuplicateKey as duplicate:
            raise await self._violations.explain(duplicate, *documents) from duplicate
        return self._cls.from_row(added)

    async def add_many(self, new: Sequence[BaseModel], *, owner_id: str | None = None) -> list[R]:
        """See the protocol."""
        if Capability.TRANSACTIONS not in self._capabilities:
            raise NotSupported(f"{self.spec.name}.add_many", Capability.TRANSACTIONS)
        rows, documents, parents = self._new_rows(new, owner_id)
        try:
            await self._inserts.insert(documents, parents)
        except DuplicateKey as duplicate:
            raise await self._violations.explain(duplicate, *documents) from duplicate
        return rows

    def _new_rows(
        self, new: Sequence[BaseModel], owner_id: str | None
    ) -> tuple[list[R], list[Document], list[Parent]]:
        """Return new rows, their documents, and the documents that they refer to."""
        served: dict[str, Any] = {}
        stored: Document = {}
        parents: dict[Parent, None] = {}
        if self.spec.owned:
            owner = owner_id or ""
            served["owner_id"], stored["owner_id"] = owner, object_id(owner)
            parents[Parent(USERS.name, owner)] = None
        common: dict[str, Any] = {"created_at": self._clock(), "version": 1}
        served |= common
        stored |= common
        rows: list[R] = []
        documents: list[Document] = []
        for id_, form in zip(sorted(self._id_source() for _ in new), new, strict=True):
            values = values_of(self._cls, form)
            rows.append(self._cls.of_fields({"id": id_, **values, **served}))
            documents.append({"_id": object_id(id_), **self._map.to_new(values), **stored})
            parents |= dict.fromkeys(self._parents_of(values))
        return rows, documents, list(parents)

    def _parents_of(self, values: Mapping[str, Any]) -> list[Parent]:
        """Return the documents that these values of declared references name."""
        return [
            Parent(field.target or "", values[field.name])
            for field in self.spec.references
            if values.get(field.name) is not None
        ]

    async def get(self, id: str, *, owner_id: str | None = None, public: bool = False) -> R:
        """See the protocol."""
        row = await self._by_id.get(id)
        return accessible(row, self.spec, id, owner_id=owner_id, public=public)

    async def find_by(self, **values: Any) -> R | None:
        """See the protocol."""
        if frozenset(values) not in self._groups:
            raise ValueError(f"{', '.join(values)} is no unique group of the {self.spec.name}")
        owner = {"owner_id": object_id(values.pop("owner_id"))} if "owner_id" in values else {}
        where: Document = owner | self._map.to_stored(values)
        for name in self.spec.searched:
            where.pop(f"{name}_folded", None)
        if None in where.values():
            return None  # a malformed id
        with translate_errors():
            document = await self._documents.find_one(where)
        return None if document is None else self._map.to_model(document)

    async def list(
        self,
        *,
        owner_id: str | None = None,
        public: bool = False,
        where: BaseModel | Mapping[str, Any] = NO_FILTERS,
        sort: str = "-created_at",
        skip: int = 0,
        limit: int = 100,
        after: Position | None = None,
        count: bool = True,
    ) -> Page[R]:
        """See the protocol."""
        require_known(self.spec, where, sort=sort)
        return await fetch_page(
            self._driver,
            self._documents,
            self._conditions.of(where, owner_id=owner_id, public=public),
            self._map.to_row,
            self._cls,
            order=self._orders[sort],
            skip=skip,
            limit=limit,
            after=after,
            count=count,
        )

    async def update(
        self,
        id: str,
        changes: BaseModel | Mapping[str, Any],
        *,
        owner_id: str | None = None,
        versions: Collection[int] | None = None,
    ) -> R:
        """See the protocol."""
        return await change_row(
            self._cls,
            changes,
            versions,
            read=lambda: self.get(id, owner_id=owner_id),
            write=lambda values, of_versions: self._write(id, values, owner_id, of_versions),
        )

    async def _write(
        self, id: str, values: Mapping[str, Any], owner_id: str | None, versions: Collection[int] | None
    ) -> R:
        parents = self._parents_of(values)
        if parents and not all(object_id(parent.id) for parent in parents):
            await self.get(id, owner_id=owner_id)
            await self._references.check(parents)
        matches = self._matches(id, owner_id, versions)
        change: Document = {"$set": self._map.to_stored(values), "$inc": {"version": 1}}
        try:
            document = await self._writes.change(matches, change, parents)
        except DuplicateKey as duplicate:
            await self._references.check(parents)
            with translate_errors():
                before = await self._documents.find_one(matches)
            after = [] if before is None else [{**before, **change["$set"]}]
            raise await self._violations.explain(duplicate, *after) from duplicate
        if document is None:
            raise refusal(await self._by_id.get(id), self.spec, id, owner_id=owner_id)
        return self._map.to_model(document)

    async def delete(
        self, id: str, *, owner_id: str | None = None, versions: Collection[int] | None = None
    ) -> None:
        """See the protocol. One transaction if other resources refer to this one."""
        if not await self._writes.delete(id, self._matches(id, owner_id, versions)):
            raise refusal(await self._by_id.get(id), self.spec, id, owner_id=owner_id)

    def _matches(self, id: str, owner_id: str | None, versions: Collection[int] | None) -> Document:
        matches: Document = {"_id": object_id(id)}
        if owner_id is not None:
            matches["owner_id"] = object_id(owner_id)
        if versions is not None:
            matches["version"] = {"$in": list(versions)}
        return matches
