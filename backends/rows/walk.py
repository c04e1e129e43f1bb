"""Validation of every row of a database, in batches.

Memory use does not depend on the number of rows: it is one batch plus a bounded number of violations. The
database may be in use, so a row may change or disappear between two reads. A violation is reported only
if a second read confirms it.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable, Collection, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeAlias

from backends.errors import NotFound, UnreadableRow
from backends.idempotency import EntryId, parse_outcome
from backends.ids import is_id
from backends.protocols import Backend
from backends.rows.batches import BATCH, read_batches
from backends.rows.ledger import Fault
from backends.rows.ledger_walk import LedgerWalk
from backends.rows.resource_rules import find_resource_problems
from backends.rows.rules import find_problems
from backends.rows.stored import KINDS, Fields, Problem, RowKind, StoredRow, identity_of

if TYPE_CHECKING:
    from backends.models.resources import Resource

KEPT_IDS = 100_000
"""The maximum number of cached ids of existing rows."""

SECOND_LOOK_SECONDS = 0.5
"""The pause before the second read: longer than a change of several rows takes."""

# The unique keys.
UNIQUE: dict[RowKind, tuple[str, ...]] = {
    "users": ("email",),
    "transfers": ("ordered_by", "idempotency_key"),
    "idempotency_keys": ("owner_id", "key"),
}

Phase: TypeAlias = str
"""A kind of row, `duplicates` or `ledger`."""


@dataclass(frozen=True, slots=True)
class _Reference:
    """A reference to a row of another kind."""

    field: str
    kind: RowKind
    id: str


@dataclass(slots=True)
class RowReport:
    """The result of a validation.

    Attributes:
        limit: The maximum number of listed violations of each kind.
        rows: The number of rows of each kind.
        faulty: The number of violations of each kind.
        faults: The first violations of each kind.
    """

    limit: int
    rows: dict[RowKind, int]
    faulty: dict[RowKind, int]
    faults: list[Fault] = field(default_factory=list)

    def add(self, fault: Fault) -> None:
        """Count a violation, and list it up to the limit."""
        self.faulty[fault.kind] += 1
        if self.faulty[fault.kind] <= self.limit:
            self.faults.append(fault)


class RowWalk:
    """One validation of a database."""

    def __init__(
        self,
        backend: Backend,
        *,
        resources: Iterable[type[Resource]] = (),
        limit: int = 20,
        on_progress: Callable[[Phase, int], None] = lambda _phase, _rows: None,
    ) -> None:
        """Validate this database.

        Args:
            backend: The database.
            resources: The declared resources with which it was opened.
            limit: The maximum number of listed violations of each kind.
            on_progress: Called with the phase and the number of rows of each batch.
        """
        self._backend = backend
        self._resources = {cls.__resource__.name: cls for cls in resources}
        self._kinds = (*KINDS, *self._resources)
        if unnamed := backend.resources.keys() - set(self._kinds):
            raise ValueError(f"resources lacks the classes of: {', '.join(sorted(unnamed))}")
        self._report = RowReport(limit, dict.fromkeys(self._kinds, 0), dict.fromkeys(self._kinds, 0))
        self._on_progress = on_progress
        self._existing: dict[RowKind, set[str]] = defaultdict(set)

    async def run(self) -> RowReport:
        """Validate all rows; return the report."""
        for kind in self._kinds:
            await self._walk(kind)
        for kind, by in UNIQUE.items():
            await self._find_duplicates(kind, by)
        for kind, cls in self._resources.items():
            for group in cls.__resource__.unique:
                await self._find_duplicates(kind, group)
        ledger = LedgerWalk(self._backend, on_progress=lambda rows: self._on_progress("ledger", rows))
        async for fault in ledger.faults(second_look_seconds=SECOND_LOOK_SECONDS):
            self._report.add(fault)
        return self._report

    async def _walk(self, kind: RowKind) -> None:
        """Validate each row and its references."""
        async for rows in read_batches(self._backend, kind):
            self._report.rows[kind] += len(rows)
            self._on_progress(kind, len(rows))
            if faults := await self._examine(kind, rows):
                again = {(fault.id, fault.problem) for fault in await self._look_again(kind, rows)}
                for fault in faults:
                    if (fault.id, fault.problem) in again:
                        self._report.add(fault)

    async def _look_again(self, kind: RowKind, rows: Sequence[StoredRow]) -> list[Fault]:
        """Read a batch again; return the current violations."""
        await asyncio.sleep(SECOND_LOOK_SECONDS)
        # A larger batch, because rows may have been added in between.
        found = await self._backend.read_rows(kind, by=(), start=rows[0].place, limit=len(rows) + BATCH)
        return await self._examine(kind, found)

    async def _examine(self, kind: RowKind, rows: Sequence[StoredRow]) -> list[Fault]:
        faults: list[Fault] = []
        references: list[tuple[StoredRow, _Reference]] = []
        for row in rows:
            problems = (*self._find_problems(kind, row.fields), *row.problems)
            faults += [_fault(kind, row.fields, problem) for problem in problems]
            references += [(row, reference) for reference in self._references_of(kind, row.fields)]
        missing = await self._missing({(reference.kind, reference.id) for _, reference in references})
        for row, reference in references:
            if (reference.kind, reference.id) in missing:
                what = f"names none of the {reference.kind}: {reference.id}"
                faults.append(_fault(kind, row.fields, Problem(reference.field, what)))
        return faults

    def _find_problems(self, kind: RowKind, fields: Fields) -> list[Problem]:
        cls = self._resources.get(kind)
        return find_problems(kind, fields) if cls is None else find_resource_problems(cls, fields)

    def _references_of(self, kind: RowKind, fields: Fields) -> Iterator[_Reference]:
        """Yield the references of a row that can be read."""
        for name, to, target in self._named_by(kind, fields):
            if isinstance(target, str) and is_id(target):
                yield _Reference(name, to, target)

    def _named_by(self, kind: RowKind, fields: Fields) -> Iterator[tuple[str, RowKind, Any]]:
        """Yield the fields of a row that refer to others, with the kind and the id of the other row."""
        cls = self._resources.get(kind)
        if kind in {"items", "accounts"} or (cls is not None and cls.__resource__.owned):
            yield "owner_id", "users", fields.get("owner_id")
        for field_ in cls.__resource__.references if cls else ():
            yield field_.name, field_.target or "", fields.get(field_.name)
        if kind == "idempotency_keys":
            with suppress(KeyError, TypeError, ValueError):
                outcome = parse_outcome(fields["outcome"])
                if isinstance(outcome, EntryId):
                    yield "outcome", "transfers", str(outcome)

    async def _missing(self, wanted: Collection[tuple[RowKind, str]]) -> set[tuple[RowKind, str]]:
        """Return the rows that don't exist. A DataLoader batches the look-ups."""
        unknown = [(kind, id_) for kind, id_ in wanted if id_ not in self._existing[kind]]
        exist = await asyncio.gather(*(self._exists(kind, id_) for kind, id_ in unknown))
        missing = set()
        for (kind, id_), exists in zip(unknown, exist, strict=True):
            if not exists:
                missing.add((kind, id_))
                continue
            if len(self._existing[kind]) >= KEPT_IDS:
                self._existing[kind].clear()
            self._existing[kind].add(id_)
        return missing

    async def _exists(self, kind: RowKind, id: str) -> bool:
        get: Callable[[str], Awaitable[object]]
        if kind == "users":
            get = self._backend.users.get
        elif kind == "transfers":
            get = self._backend.accounts.get_transfer
        else:
            get = self._backend.resources[kind].get
        try:
            await get(id)
        except NotFound:
            return False
        except UnreadableRow:
            return True
        return True

    async def _find_duplicates(self, kind: RowKind, by: tuple[str, ...]) -> None:
        """Report duplicates of a unique key, which are neighbours in the order of the key."""
        what = "is another row's, too"
        if len(by) > 1:
            what += f", with the same {', '.join(by[:-1])}"
        before: StoredRow | None = None
        async for rows in read_batches(self._backend, kind, by):
            self._on_progress("duplicates", len(rows))
            for row in rows:
                if before is not None and before.place == row.place:
                    self._report.add(_fault(kind, row.fields, Problem(by[-1], what)))
                before = row


def _fault(kind: RowKind, fields: Fields, problem: Problem) -> Fault:
    return Fault(kind, identity_of(kind, fields), problem, fields.get(problem.field))
