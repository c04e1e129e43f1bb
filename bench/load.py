"""A closed-loop load generator: sends requests over persistent connections and records their latencies.

No generator of the package indexes does it: wrk, k6 and oha are not there, autocannon sends the same
sequence on each of its connections, and client libraries take more CPU time than a server needs to answer.
"""

from __future__ import annotations

import asyncio
import gc
import itertools
import re
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import cast

import uvloop

_GIVE_UP_SECONDS = 30
_LENGTH = re.compile(rb"\r\ncontent-length: (\d+)\r\n", re.IGNORECASE)


class LoadError(Exception):
    """A response was an error, or there was none."""


@dataclass(frozen=True)
class Load:
    """The result of a measurement.

    Attributes:
        seconds: How long.
        milliseconds: What each answered request took, in ascending order.
        used: By how much each gauge rose.
    """

    seconds: float
    milliseconds: list[float]
    used: list[float]

    @property
    def requests(self) -> int:
        """The number of responses."""
        return len(self.milliseconds)

    def percentile(self, percent: float) -> float:
        """Return this percentile of the latencies, in milliseconds."""
        return self.milliseconds[min(self.requests - 1, int(self.requests * percent / 100))]


class _Run:
    """The shared state of the connections: the requests, the latencies, and whether to go on."""

    def __init__(self, requests: Sequence[bytes]) -> None:
        self.requests = itertools.cycle(requests)
        self.milliseconds: list[float] = []
        self.goes_on = False
        self.on_their_way = 0
        self.all_answered = asyncio.Event()
        self.failure = ""

    def answered(self, milliseconds: float) -> None:
        self.milliseconds.append(milliseconds)
        self.on_their_way -= 1
        if not self.on_their_way:
            self.all_answered.set()

    def failed(self, reason: str) -> None:
        self.failure = self.failure or reason
        self.all_answered.set()


class _Client(asyncio.Protocol):
    """One connection with one outstanding request."""

    def __init__(self, run: _Run) -> None:
        self._run = run
        self._transport = cast("asyncio.Transport", None)  # set when it is connected
        self._received = b""
        self._began = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def send(self) -> None:
        request = next(self._run.requests)
        self._run.on_their_way += 1
        self._began = time.perf_counter()
        self._transport.write(request)

    def data_received(self, data: bytes) -> None:
        self._received += data
        end = self._received.find(b"\r\n\r\n")
        if end < 0:
            return
        length = _LENGTH.search(self._received, 0, end + 2)
        if not self._received.startswith(b"HTTP/1.1 200 ") or length is None:
            self._run.failed(repr(self._received[:300]))
        elif len(self._received) >= end + 4 + int(length[1]):
            taken = (time.perf_counter() - self._began) * 1000
            self._received = b""
            if self._run.goes_on:
                self.send()
            self._run.answered(taken)

    def connection_lost(self, exc: Exception | None) -> None:
        self._run.failed(f"a connection was lost: {exc}")

    def close(self) -> None:
        self._transport.close()


def load(
    port: int,
    requests: Sequence[bytes],
    *,
    concurrency: int,
    seconds: float,
    gauges: Sequence[Callable[[], float]] = (),
) -> Load:
    """Send these requests repeatedly to a server on 127.0.0.1.

    The gauges are read while nothing is on its way: what they rise by is of these requests alone.

    Args:
        port: The port of the server.
        requests: The bytes of each request.
        concurrency: The number of connections, each with one outstanding request.
        seconds: How long to send new requests. The last responses are waited for.
        gauges: Functions that are called at the start and at the end of the measurement.

    Raises:
        LoadError: A response was not 200.
    """
    gc.disable()  # a collection would count as latency of the server
    try:
        return uvloop.run(_load(port, requests, concurrency, seconds, gauges))
    finally:
        gc.enable()


async def _load(
    port: int,
    requests: Sequence[bytes],
    concurrency: int,
    seconds: float,
    gauges: Sequence[Callable[[], float]],
) -> Load:
    loop = asyncio.get_running_loop()
    run = _Run(requests)
    clients: list[_Client] = []
    try:
        for _ in range(concurrency):
            _, client = await loop.create_connection(lambda: _Client(run), "127.0.0.1", port)
            clients.append(client)
        await _send(run, clients, 0)  # one request each: the server has then accepted every connection
        before, began = [gauge() for gauge in gauges], time.perf_counter()
        await _send(run, clients, seconds)
        lasted, after = time.perf_counter() - began, [gauge() for gauge in gauges]
    finally:
        for client in clients:
            client.close()
    return Load(
        lasted, sorted(run.milliseconds), [now - then for now, then in zip(after, before, strict=True)]
    )


async def _send(run: _Run, clients: Sequence[_Client], seconds: float) -> None:
    """Let every connection send for this time, at least once, and wait for the last response.

    Raises:
        LoadError: An answer was not 200, or there was none.
    """
    run.milliseconds.clear()
    run.all_answered.clear()
    run.goes_on = seconds > 0
    for client in clients:
        client.send()
    with suppress(TimeoutError):  # it ends early only after an error
        await asyncio.wait_for(run.all_answered.wait(), seconds)
    run.goes_on = False
    try:
        await asyncio.wait_for(run.all_answered.wait(), _GIVE_UP_SECONDS)
    except TimeoutError:
        run.failed(f"no answer within {_GIVE_UP_SECONDS} s")
    if run.failure:
        raise LoadError(run.failure)
