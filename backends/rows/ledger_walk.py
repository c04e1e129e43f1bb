"""Walks all accounts together with their entries, each in the order of the accounts' ids."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable
from typing import Generic, TypeVar

from backends.ids import is_id
from backends.protocols import Backend
from backends.rows.batches import read_batches
from backends.rows.ledger import Chain, Fault, Side, Step
from backends.rows.stored import Place, StoredRow

T = TypeVar("T")

_SIDES: tuple[Side, ...] = ("from", "to")


class _Ahead(Generic[T]):
    """What comes next in a row of batches."""

    def __init__(self, batches: AsyncIterator[list[T]]) -> None:
        self._batches = batches
        self.items: deque[T] = deque()

    async def fill(self) -> None:
        """See to it that there is an item, unless none is left."""
        while not self.items:
            batch = await anext(self._batches, None)
            if batch is None:
                return
            self.items.extend(batch)


class LedgerWalk:
    """Follows each account's entries, and says where they do not add up."""

    def __init__(self, backend: Backend, *, on_progress: Callable[[int], None]) -> None:
        """Prepare it; `on_progress` is told how many more entries were read, of each of their two sides."""
        self._backend = backend
        self._on_progress = on_progress

    async def faults(self, *, second_look_seconds: float) -> AsyncIterator[Fault]:
        """Give what is wrong with the ledger.

        Accounts and entries are not of one moment. So an account that seems to be wrong is read again, and
        its entries after it: those that come later have versions that the account had not yet.
        """
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
                await asyncio.sleep(second_look_seconds)
                again = {(fault.id, fault.problem) for fault in await self._look_again(account_id, place)}
                for fault in found:
                    if (fault.id, fault.problem) in again:
                        yield fault

    async def _look_again(self, account_id: str, place: Place) -> list[Fault]:
        """Read an account and then its entries; say what is wrong now."""
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
        """Read one side of all entries, in the order of accounts and versions."""
        by = (f"{side}_account_id", f"{side}_version")
        async for rows in read_batches(self._backend, "transfers", by, start=start):
            self._on_progress(len(rows))
            steps = [Step.of(row, side) for row in rows]
            yield [step for step in steps if step is not None]


async def _next_step(sides: list[_Ahead[Step]], account_id: str) -> Step | None:
    """Take the entry of the account with the lowest version, from either side."""
    best: _Ahead[Step] | None = None
    for side in sides:
        if not side.items:
            await side.fill()
        is_ours = bool(side.items) and side.items[0].account_id == account_id
        if is_ours and (best is None or side.items[0].version < best.items[0].version):
            best = side
    return best.items.popleft() if best else None
