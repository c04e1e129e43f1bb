"""Latencies of the methods that a service uses most, called one after another."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from statistics import median

from backends.capabilities import Capability
from backends.models import ItemChanges, NewAccount, NewEntry, NewItem, NewTransfer, NewUser
from backends.protocols import Backend

ITEMS = 120
CALLS = 100
WARM_UP_CALLS = 10
"""Calls that open connections and prepare statements; they are not measured."""


@dataclass(frozen=True, slots=True)
class Latency:
    """The latencies of `calls` calls of one method, in milliseconds."""

    method: str
    calls: int
    p50_ms: float
    p99_ms: float
    max_ms: float


async def measure(backend: Backend) -> list[Latency]:
    """Fill an empty database, and measure each method on it."""
    user = await backend.users.add(NewUser(email="one@example.com", hashed_password="no hash"))  # noqa: S106
    ids = [
        (await backend.items.add(NewItem(title=f"Item {number}"), owner_id=user.id)).id
        for number in range(ITEMS)
    ]
    methods: dict[str, Callable[[int], Awaitable[object]]] = {
        "users.get": lambda _: backend.users.get(user.id),
        "items.get": lambda number: backend.items.get(ids[number]),
        "items.list, 100 with count": lambda _: backend.items.list(owner_id=user.id),
        "items.add": lambda number: backend.items.add(NewItem(title=f"{number}"), owner_id=user.id),
        "items.update": lambda number: backend.items.update(ids[number], ItemChanges(title=f"{number}")),
        "items.delete": lambda number: backend.items.delete(ids[number]),
    }
    if Capability.TRANSACTIONS in backend.capabilities:
        accounts = [
            (await backend.accounts.add(NewAccount(name=name, currency="EUR"), owner_id=user.id)).id
            for name in ("from", "to")
        ]
        await backend.accounts.deposit(accounts[0], NewEntry(amount_minor=10**6), ordered_by=user.id)
        transfer = NewTransfer(from_account_id=accounts[0], to_account_id=accounts[1], amount_minor=1)
        methods["accounts.transfer"] = lambda _: backend.accounts.transfer(transfer, ordered_by=user.id)
    return [await _measure(name, call) for name, call in methods.items()]


async def _measure(name: str, call: Callable[[int], Awaitable[object]]) -> Latency:
    taken = []
    for number in range(WARM_UP_CALLS + CALLS):
        begun = time.perf_counter()
        await call(number)
        taken.append((time.perf_counter() - begun) * 1000)
    measured = sorted(taken[WARM_UP_CALLS:])
    p99 = measured[len(measured) * 99 // 100 - 1]
    return Latency(name, CALLS, *(round(value, 3) for value in (median(measured), p99, measured[-1])))
