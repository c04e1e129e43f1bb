"""Throughput and latency of transfers: between 1,000 accounts, and between only 2.

    .venv/bin/python -m bench.transfers                        on SQLite
    DB_BACKEND=postgres .venv/bin/python -m bench.transfers    on a local PostgreSQL (or mongo)

One `eitherdb dev`, as in `bench.login_flood`. The ratio of the two rates is what waiting for one another
costs: both are of one run.
"""

from __future__ import annotations

import asyncio
import json
import random
import statistics
import time
from collections.abc import Callable, Coroutine, Iterator, Sequence
from dataclasses import dataclass

import httpx2

from bench.login_flood import START_SECONDS, log_in, p99, server
from tests.proof.connection import API, Connection, post

ACCOUNTS = 1_000
CLIENTS = 32
MAX_TRANSFERS = 5_000
MAX_SECONDS = 15
"""A measurement ends after this number of transfers or this time, whichever comes first."""
MONEY = 10**12


@dataclass(frozen=True)
class Result:
    """The figures of a measurement."""

    seconds: float
    milliseconds: list[float]
    refused: int

    @property
    def per_second(self) -> float:
        """Transfers per second."""
        return len(self.milliseconds) / self.seconds


async def furnish(url: str, token: str) -> list[str]:
    """Create accounts with money; return their ids."""
    ids: list[str] = []

    async def client(numbers: Iterator[int]) -> None:
        connection = Connection(url, timeout_seconds=60)
        for number in numbers:
            new = json.dumps({"name": f"account {number}", "currency": "EUR"}).encode()
            account = (await connection.ask(post("/accounts/", new, token=token))).body
            ids.append(json.loads(account)["id"])
            money = json.dumps({"amount_minor": MONEY}).encode()
            reply = await connection.ask(post(f"/accounts/{ids[-1]}/deposits", money, token=token))
            if reply.status != 200:
                raise RuntimeError(f"{reply.status} {reply.body!r}")
        await connection.close()

    await many(client, iter(range(ACCOUNTS)))
    return ids


async def transfer(url: str, token: str, ids: Sequence[str]) -> Result:
    """Transfer money between random pairs of these accounts, from many concurrent clients."""
    taken: list[float] = []
    refused = 0
    end = time.perf_counter() + MAX_SECONDS

    async def client(numbers: Iterator[int]) -> None:
        nonlocal refused
        connection = Connection(url, timeout_seconds=60)
        for number in numbers:
            source, target = random.sample(ids, k=2)
            body = {"from_account_id": source, "to_account_id": target, "amount_minor": 1}
            key = f"{end}-{number}"
            request = post("/transfers/", json.dumps(body).encode(), token=token, key=key)
            start = time.perf_counter()
            if start > end:
                break
            while (reply := await connection.ask(request)).status == 503:
                refused += 1
            if reply.status != 200:
                raise RuntimeError(f"{reply.status} {reply.body!r}")
            taken.append((time.perf_counter() - start) * 1000)
        await connection.close()

    began = time.perf_counter()
    await many(client, iter(range(MAX_TRANSFERS)))
    return Result(time.perf_counter() - began, taken, refused)


async def many(client: Callable[[Iterator[int]], Coroutine[None, None, None]], work: Iterator[int]) -> None:
    """Distribute the transfers over the clients."""
    async with asyncio.TaskGroup() as tasks:
        for _ in range(CLIENTS):
            tasks.create_task(client(work))


async def wait_and_log_in(base_url: str) -> str:
    """Wait for the server; return the token of a superuser."""
    async with httpx2.AsyncClient(base_url=base_url, trust_env=False) as client:
        async with asyncio.timeout(START_SECONDS):
            while True:
                try:
                    await client.get("/utils/health-check/")
                    return await log_in(client)
                except httpx2.TransportError:
                    await asyncio.sleep(0.1)


async def measure(base_url: str) -> None:
    """Print a line per kind of load, and their ratio."""
    url = base_url.removesuffix(API)
    token = await wait_and_log_in(base_url)
    ids = await furnish(url, token)
    print(f"{CLIENTS} clients      transfers/s    p50 ms    p99 ms    503")
    spread, hot = [await transfer(url, token, chosen) for chosen in (ids, ids[:2])]
    for name, result in ((f"{ACCOUNTS:,} accounts", spread), ("2 accounts", hot)):
        times = result.milliseconds
        print(
            f"{name:<15} {result.per_second:>14.0f} {statistics.median(times):>9.1f} {p99(times):>9.1f} "
            f"{result.refused:>6}"
        )
    print(f"ratio           {hot.per_second / spread.per_second:>14.2f}")


if __name__ == "__main__":
    with server() as address:
        asyncio.run(measure(address))
