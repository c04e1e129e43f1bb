"""The effect of fifty concurrent logins on other requests: the ratio of a read's p99 with and without them.

    .venv/bin/python -m bench.login_flood                        on SQLite
    DB_BACKEND=postgres .venv/bin/python -m bench.login_flood    on a local PostgreSQL (or mongo)

The server is `eitherdb dev` in a temporary folder, with its own database, on a free port of 127.0.0.1.
"""

from __future__ import annotations

import asyncio
import os
import secrets
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx2

LOGINS = 50
READS = 400
ROUNDS = 3
START_SECONDS = 60
PASSWORD = secrets.token_urlsafe(16)
EMAIL = "admin@example.com"


@contextmanager
def server() -> Iterator[str]:
    """Run a server; return the address of its API."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    environment = {**os.environ, "FIRST_SUPERUSER": EMAIL, "FIRST_SUPERUSER_PASSWORD": PASSWORD}
    command = [sys.executable, "-m", "cli.main", "dev", "--port", str(port)]
    with tempfile.TemporaryDirectory(prefix="edb-") as folder:
        process = subprocess.Popen(
            command,
            cwd=folder,
            env={**environment, "PYTHONPATH": str(Path(__file__).parents[1])},
            stdout=subprocess.DEVNULL,
        )
        try:
            yield f"http://127.0.0.1:{port}/api/v1"
        finally:
            process.terminate()
            process.wait()


async def log_in(client: httpx2.AsyncClient) -> str:
    """Sign in; return the token."""
    answer = await client.post("/login/access-token", data={"username": EMAIL, "password": PASSWORD})
    answer.raise_for_status()
    return str(answer.json()["access_token"])


async def read(client: httpx2.AsyncClient, token: str) -> list[float]:
    """Read the own user repeatedly; return the latencies in milliseconds."""
    headers = {"Authorization": f"Bearer {token}"}
    taken = []
    for _ in range(READS):
        start = time.perf_counter()
        (await client.get("/users/me", headers=headers)).raise_for_status()
        taken.append((time.perf_counter() - start) * 1000)
        await asyncio.sleep(0.002)
    return taken


async def flood(client: httpx2.AsyncClient, done: asyncio.Event) -> int:
    """Sign in until the end of the measurement; return the number of logins."""
    count = 0
    while not done.is_set():
        await log_in(client)
        count += 1
    return count


def p99(values: list[float]) -> float:
    """Return the 99th percentile."""
    return statistics.quantiles(values, n=100)[98]


async def measure(base_url: str) -> None:
    """Measure alternately without and with the logins."""
    limits = httpx2.Limits(max_connections=LOGINS)
    async with httpx2.AsyncClient(base_url=base_url, trust_env=False) as reader:
        async with asyncio.timeout(START_SECONDS):
            while True:
                try:
                    await reader.get("/utils/health-check/")
                    break
                except httpx2.TransportError:
                    await asyncio.sleep(0.1)
        token = await log_in(reader)
        await read(reader, token)
        for _ in range(ROUNDS):
            alone = await read(reader, token)
            done = asyncio.Event()
            # New connections for each round: the server closes those that were idle for five seconds.
            async with httpx2.AsyncClient(
                base_url=base_url, trust_env=False, limits=limits, timeout=120
            ) as others:
                logins = [asyncio.create_task(flood(others, done)) for _ in range(LOGINS)]
                await asyncio.sleep(1)
                start = time.perf_counter()
                along = await read(reader, token)
                seconds = time.perf_counter() - start
                done.set()
                count = sum(await asyncio.gather(*logins))
            print(
                f"p50 {statistics.median(alone):.1f} -> {statistics.median(along):.1f} ms, "
                f"p99 {p99(alone):.1f} -> {p99(along):.1f} ms: x{p99(along) / p99(alone):.2f} "
                f"({count} logins, {seconds:.1f} s)"
            )


if __name__ == "__main__":
    with server() as address:
        asyncio.run(measure(address))
