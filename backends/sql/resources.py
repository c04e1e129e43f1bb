"""The repository of a resource in SQL."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from pydantic import BaseModel

from backends.errors import StillReferenced
from backends.idempotency import AddedRow
from backends.ids import Clock, IdSource
from backends.models import Idempotency, Page, Position, with_folded
from backends.models.resources import Resource, ResourceSpec
from backends.models.resources.filters import require_known
from backends.protocols.resources import NO_FILTERS
from backends.resource_rows import accessible, change_row, new_rows, refusal
from backends.retry import retry_conflicts
from backends.sql.errors import ConstraintViolation
from backends.sql.lookups import ById
from backends.sql.outcomes import KEEP_OUTCOME, find_outcome, outcome_row
from backends.sql.violations import Violations

if TYPE_CHECKING:
    from backends.sql.connections import Connections, Steps
    from backends.sql.resource_statements import ResourceStatements
    from backends.sql.statements import Statement

R = TypeVar("R", bound=Resource)


class SqlResourceRepository(Generic[R]):
    """`backends.protocols.ResourceRepository`. Each method is one statement; constraints check the rest.

    If a constraint is violated, a query finds out which one, so that the errors are the same on each
    database.
    """

    def __init__(
        self,
        connections: Connections,
        cls: type[R],
        statements: ResourceStatements,
        *,
        retry_deadline_seconds: float,
        clock: Clock,
        id_source: IdSource,
    ) -> None:
        """Store the rows of this class."""
        self.spec: ResourceSpec = cls.__resource__
        self._cls = cls
        self._connections = connections
        self._statements = statements
        self._retry_deadline_seconds = retry_deadline_seconds
        self._clock = clock
        self._id_source = id_source
        self._lists = statements.lists(cls)
        self._violations = Violations(connections, statements)
        self._by_id = ById(connections, statements.table, cls, self.spec.columns)

    async def add(
        self,
        new: BaseModel,
        *,
        owner_id: str | None = None,
        idempotency: Idempotency | None = None,
        ordered_by: str | None = None,
    ) -> R:
        """See the protocol. One statement; with an idempotency key, one transaction."""
        (row,) = self._new([new], owner_id)
        values = with_folded(row.fields(), self.spec.searched)
        try:
            if idempotency is None:
                await self._connections.write(self._statements.add, values)
                return row
            return await retry_conflicts(
                lambda: self._add_once(row, values, ordered_by or owner_id or "", idempotency),
                deadline_seconds=self._retry_deadline_seconds,
                lost_connections=True,
            )
        except ConstraintViolation as violation:
            raise await self._violations.explain(violation, values) from violation

    def _new(self, new: Sequence[BaseModel], owner_id: str | None) -> list[R]:
        ids = [self._id_source() for _ in new]
        return new_rows(self._cls, new, ids=ids, owner_id=owner_id, created_at=self._clock())

    async def _add_once(
        self, row: R, values: dict[str, Any], caller_id: str, idempotency: Idempotency
    ) -> R:
        """Add the row and store it under the key, or return the stored row."""

        def steps() -> Steps[None]:
            outcome = AddedRow(row.to_row())
            yield KEEP_OUTCOME, outcome_row(outcome, caller_id, idempotency, now=row.created_at)
            yield self._statements.add, values

        try:
            await self._connections.transact(steps)
        except ConstraintViolation:
            outcome = await find_outcome(self._connections, caller_id, idempotency)
            if not isinstance(outcome, AddedRow):
                raise
            return self._cls.from_row(outcome)
        return row

    async def add_many(self, new: Sequence[BaseModel], *, owner_id: str | None = None) -> list[R]:
        """See the protocol."""
        rows = self._new(new, owner_id)
        values = [with_folded(row.fields(), self.spec.searched) for row in rows]
        try:
            if self._statements.has_floats and not self._connections.asks_a_server:
                await self._add_each(values)
            else:
                bulk = self._statements.add_many
                await self._connections.write(bulk.statement, bulk.parameters(values))
        except ConstraintViolation as violation:
            raise await self._violations.explain(violation, *values) from violation
        return rows

    async def _add_each(self, rows: Sequence[dict[str, Any]]) -> None:
        """Insert row by row in one transaction: SQLite's JSON does not read each float exactly."""

        def steps() -> Steps[None]:
            for row in rows:
                yield self._statements.add, row

        await retry_conflicts(
            lambda: self._connections.transact(steps), deadline_seconds=self._retry_deadline_seconds
        )

    async def get(self, id: str, *, owner_id: str | None = None, public: bool = False) -> R:
        """See the protocol."""
        row = await self._by_id.get(id)
        return accessible(row, self.spec, id, owner_id=owner_id, public=public)

    async def find_by(self, **values: Any) -> R | None:
        """See the protocol."""
        statement = self._statements.find_by(frozenset(values))
        rows = await self._connections.look_up(statement, values)
        return self._cls.of_fields(rows[0]) if rows else None

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
        names, values = self._statements.conditions.chosen(where, owner_id=owner_id, public=public)
        return await self._lists.page_of(
            self._connections, names, values, sort=sort, skip=skip, limit=limit, after=after, count=count
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
        self, id: str, new: Mapping[str, Any], owner_id: str | None, versions: Collection[int] | None
    ) -> R:
        changed = with_folded(dict(new), self.spec.searched)
        statement = self._statements.update(
            frozenset(changed), of_owner=owner_id is not None, of_versions=versions is not None
        )
        values = {f"new_{name}": value for name, value in changed.items()}
        values |= {"of_id": id, "of_owner_id": owner_id, "of_versions": versions}
        try:
            rows = await self._connections.write(statement, values)
        except ConstraintViolation as violation:
            row = await self.get(id)
            raise await self._violations.explain(violation, row.fields() | dict(new)) from violation
        if not rows:
            raise refusal(await self._by_id.get(id), self.spec, id, owner_id=owner_id)
        return self._cls.of_fields(rows[0])

    async def delete(
        self, id: str, *, owner_id: str | None = None, versions: Collection[int] | None = None
    ) -> None:
        """See the protocol."""
        of_owner, of_versions = owner_id is not None, versions is not None
        statement = self._statements.delete(of_owner=of_owner, of_versions=of_versions)
        values = {"of_id": id, "of_owner_id": owner_id, "of_versions": versions}
        emptying = self._statements.emptying
        try:
            if emptying:
                lock = self._statements.lock(of_owner=of_owner, of_versions=of_versions)
                deleted = await retry_conflicts(
                    lambda: self._connections.transact(
                        lambda: _empty_and_delete(lock, [*emptying, statement], values)
                    ),
                    deadline_seconds=self._retry_deadline_seconds,
                )
            else:
                deleted = bool(await self._connections.write(statement, values))
        except ConstraintViolation as violation:
            raise StillReferenced(self.spec.entity, id, await self._referring(id)) from violation
        if not deleted:
            raise refusal(await self._by_id.get(id), self.spec, id, owner_id=owner_id)

    async def _referring(self, id: str) -> str:
        """Return the entity of a row that would remain and refer to what would be deleted."""
        for each in self._statements.restrictions:
            if await self._connections.run(each.find, {"of_id": id}):
                return each.entity
        return "row"


def _empty_and_delete(
    lock: Statement, steps: Sequence[Statement], values: Mapping[str, Any]
) -> Steps[bool]:
    """Lock the row, so that no other row can refer to it any more; then run the steps."""
    if not (yield lock, values):
        return False
    for step in steps:
        yield step, values
    return True
