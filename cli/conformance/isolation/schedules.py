"""Trials of the anomalies in the server's own transactions: four schedules of two transactions."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, TypeAlias, cast

from backends.scratch import Scratch, Transaction
from cli.conformance.isolation.finding import NO_TRANSACTION, TrialResult

WAIT_SECONDS = 0.3
"""A step that takes longer is blocked by the other transaction, which continues."""
END_SECONDS = 30

Step: TypeAlias = Callable[[Transaction], Awaitable[None]]
Begin: TypeAlias = Callable[[], Awaitable[Transaction]]


class Side:
    """One of two transactions. Its steps run in order; a blocked step lets the other side continue."""

    def __init__(self, begin: Begin) -> None:
        self._begin = begin
        self._transaction: Transaction | None = None
        self._last: asyncio.Task[None] | None = None
        self.waited = False
        self.refused: Exception | None = None

    async def step(self, work: Step) -> None:
        """Run a step, unless the side was refused before; return without waiting for a blocked step."""
        self._last = asyncio.create_task(self._after(self._last, work))
        done, _ = await asyncio.wait({self._last}, timeout=WAIT_SECONDS)
        self.waited = self.waited or not done

    async def _after(self, before: asyncio.Task[None] | None, work: Step) -> None:
        if before is not None:
            await before
        if self.refused is not None:
            return
        try:
            if self._transaction is None:
                self._transaction = await self._begin()
            await work(self._transaction)
        except Exception as exc:  # noqa: BLE001 - any driver's error is a refusal
            self.refused = exc
            if self._transaction is not None:
                await self._transaction.roll_back()

    async def end(self) -> None:
        """Wait for the last step."""
        if self._last is not None:
            done, _ = await asyncio.wait({self._last}, timeout=END_SECONDS)
            if not done:
                raise TimeoutError(f"a transaction waited for more than {END_SECONDS} seconds")
            self._last.result()

    async def close(self) -> None:
        """Roll back after the last step: an open transaction keeps its locks."""
        try:
            await self.end()
        finally:
            if self._transaction is not None:
                await self._transaction.roll_back()


Schedule: TypeAlias = Callable[[Side, Side, Begin], Coroutine[Any, Any, bool]]
"""A schedule returns whether the anomaly happened."""


async def lost_update(one: Side, two: Side, begin: Begin) -> bool:
    """Both read 10 and write the value plus 1."""
    seen: dict[Side, int] = {}

    def read(side: Side) -> Step:
        async def work(transaction: Transaction) -> None:
            seen[side] = await transaction.read(1)

        return work

    def write(side: Side) -> Step:
        return lambda transaction: transaction.write(1, seen[side] + 1)

    for side in (one, two):
        await side.step(read(side))
    for side in (one, two):
        await side.step(write(side))
    await _commit(one, two)
    committed = sum(side.refused is None for side in (one, two))
    return await _numbers(begin, 1) != [10 + committed]


async def write_skew(one: Side, two: Side, begin: Begin) -> bool:
    """Each takes 15 from its own number if the sum of both is enough; the sum of 20 is enough once."""
    funds: dict[Side, int] = {}

    def read(side: Side) -> Step:
        async def work(transaction: Transaction) -> None:
            funds[side] = await transaction.read(1) + await transaction.read(2)

        return work

    def take(side: Side, key: int) -> Step:
        async def work(transaction: Transaction) -> None:
            if funds[side] >= 15:
                await transaction.write(key, await transaction.read(key) - 15)

        return work

    for side in (one, two):
        await side.step(read(side))
    for key, side in ((1, one), (2, two)):
        await side.step(take(side, key))
    await _commit(one, two)
    return sum(await _numbers(begin, 1, 2)) < 0


async def dirty_read(one: Side, two: Side, begin: Begin) -> bool:  # noqa: ARG001 - a schedule
    """One writes 99 and rolls back; two reads in between."""
    seen = []

    async def read(transaction: Transaction) -> None:
        seen.append(await transaction.read(1))

    await one.step(lambda transaction: transaction.write(1, 99))
    await two.step(read)
    await one.step(lambda transaction: transaction.roll_back())
    await _commit(two)
    return 99 in seen


async def phantom(one: Side, two: Side, begin: Begin) -> bool:  # noqa: ARG001 - a schedule
    """One reads all numbers twice; two adds one in between."""
    seen = []

    async def read(transaction: Transaction) -> None:
        seen.append(await transaction.read_all())

    await one.step(read)
    await two.step(lambda transaction: transaction.add(3, 10))
    await two.step(lambda transaction: transaction.commit())
    await one.step(read)
    await _commit(one)
    return len(seen) == 2 and seen[0] != seen[1]


async def _commit(*sides: Side) -> None:
    """Commit the sides in order, and wait for all."""
    for side in sides:
        await side.step(lambda transaction: transaction.commit())
    for side in sides:
        await side.end()


async def _numbers(begin: Begin, *keys: int) -> list[int]:
    transaction = await begin()
    try:
        return [await transaction.read(key) for key in keys]
    finally:
        await transaction.roll_back()


async def try_schedule(scratch: Scratch, schedule: Schedule) -> TrialResult:
    """Run one schedule on two transactions, and return its result."""
    first = await scratch.begin()
    if first is None:
        return None, NO_TRANSACTION
    await first.roll_back()
    begin = cast("Begin", scratch.begin)  # it returned a transaction, so it does again
    await scratch.set_numbers({1: 10, 2: 10})
    one, two = Side(begin), Side(begin)
    try:
        has_happened = await schedule(one, two, begin)
    finally:
        await asyncio.gather(one.close(), two.close())
    refused = [type(side.refused).__name__ for side in (one, two) if side.refused is not None]
    if has_happened:
        return "possible", "it happened" + (f", although one was refused ({refused[0]})" if refused else "")
    if refused:
        return "prevented", f"one transaction was refused ({refused[0]})"
    if one.waited or two.waited:
        return "prevented", "one transaction waited for the other"
    return "prevented", "neither waited, and both read correct values"
