"""Validation of the whole ledger, by a merge join of accounts and entries on the account id."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

from backends.ids import is_id
from backends.protocols import Backend
from backends.rows.batches import read_batches
from backends.rows.ledger import Chain, Fault, Side, Step
from backends.rows.stored import Place, StoredRow

T = TypeVar("T")

_SIDES: tuple[Side, ...] = ("from", "to")

MAX_SUSPECTS = 1_000
"""The maximum number of accounts that are read again after one pause. It bounds the memory."""


class _Ahead(Generic[T]):
    """A look-ahead buffer over batches."""

    def __init__(self, batches: AsyncIterator[list[T]]) -> None:
        self._batches = batches
        self.items: deque[T] = deque()

    async def fill(self) -> None:
        """Fetch the next batch if the buffer is empty."""
        while not self.items:
            batch = await anext(self._batches, None)
            if batch is None:
                return
            self.items.extend(batch)


@dataclass(frozen=True, slots=True)
class _Suspect:
    """An account whose entries did not add up when they were read first."""

    account_id: str
    place: Place
    faults: list[Fault]


class LedgerWalk:
    """Validates the entries of each account."""

    def __init__(self, backend: Backend, *, on_progress: Callable[[int], None]) -> None:
        """Call `on_progress` with the number of entries per batch; each entry is read for both sides."""
        self._backend = backend
        self._on_progress = on_progress

    async def faults(self, *, second_look_seconds: float) -> AsyncIterator[Fault]:
        """Yield the violations of the ledger.

        Accounts and entries are not read from one snapshot. So suspicious accounts are read again after a
        pause, and their entries after them. Entries that are added in between have versions above the
        account's.
        """
        suspects: list[_Suspect] = []
        async for suspect in self._suspects():
            suspects.append(suspect)
            if len(suspects) == MAX_SUSPECTS:
                async for fault in self._confirmed(suspects, second_look_seconds):
                    yield fault
                suspects = []
        async for fault in self._confirmed(suspects, second_look_seconds):
            yield fault

    async def _suspects(self) -> AsyncIterator[_Suspect]:
        """Merge accounts and entries; yield the accounts whose entries don't add up."""
        accounts = _Ahead(self._accounts())
        sides = [_Ahead(self._steps(side)) for side in _SIDES]
        while True:
            await accounts.fill()
            for side in sides:
                await side.fill()
            ids = [str(row.fields["id"]) for row in list(accounts.items)[:1]]
            ids += [side.items[0].account_id for side in sides if side.items]
            if not ids:
                return
            account_id = min(ids)
            is_stored = bool(accounts.items) and accounts.items[0].fields["id"] == account_id
            row = accounts.items.popleft() if is_stored else None
            place = row.place if row else None
            chain = Chain(account_id, row.fields if row else None)
            while (step := await _next_step(sides, account_id)) is not None:
                place = place or step.place
                chain.add(step)
            if (found := chain.finish()) and place is not None:
                yield _Suspect(account_id, place, found)

    async def _confirmed(self, suspects: list[_Suspect], pause_seconds: float) -> AsyncIterator[Fault]:
        """Yield the violations that a second read confirms. All suspects share one pause."""
        if suspects:
            await asyncio.sleep(pause_seconds)
        for suspect in suspects:
            found = await self._look_again(suspect.account_id, suspect.place)
            again = {(fault.id, fault.problem) for fault in found}
            for fault in suspect.faults:
                if (fault.id, fault.problem) in again:
                    yield fault

    async def _look_again(self, account_id: str, place: Place) -> list[Fault]:
        """Read an account and then its entries again; return the current violations."""
        rows = await self._backend.read_rows("accounts", by=(), start=place, limit=1)
        stored = [row.fields for row in rows if row.fields.get("id") == account_id]
        sides = [_Ahead(self._steps(side, start=(*place, 0))) for side in _SIDES]
        chain = Chain(account_id, stored[0] if stored else None)
        for side in sides:
            await side.fill()
        while (step := await _next_step(sides, account_id)) is not None:
            chain.add(step)
        return chain.finish()

    async def _accounts(self) -> AsyncIterator[list[StoredRow]]:
        async for rows in read_batches(self._backend, "accounts"):
            yield [row for row in rows if isinstance(row.fields.get("id"), str) and is_id(row.fields["id"])]

    async def _steps(self, side: Side, *, start: Place | None = None) -> AsyncIterator[list[Step]]:
        """Read one side of all entries, ordered by account and version."""
        by = (f"{side}_account_id", f"{side}_version")
        async for rows in read_batches(self._backend, "transfers", by, start=start):
            self._on_progress(len(rows))
            steps = [Step.of(row, side) for row in rows]
            yield [step for step in steps if step is not None]


async def _next_step(sides: list[_Ahead[Step]], account_id: str) -> Step | None:
    """Remove and return the account's entry with the lowest version, from either side."""
    best: _Ahead[Step] | None = None
    for side in sides:
        if not side.items:
            await side.fill()
        is_ours = bool(side.items) and side.items[0].account_id == account_id
        if is_ours and (best is None or side.items[0].version < best.items[0].version):
            best = side
    return best.items.popleft() if best else None
