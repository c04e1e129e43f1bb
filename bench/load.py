"""Sends requests over persistent connections as fast as they are answered, and notes how long each took.

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
    """A request was answered with an error, or not at all."""


@dataclass(frozen=True)
class Load:
    """What was measured.

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
        """How many were answered."""
        return len(self.milliseconds)

    def percentile(self, percent: float) -> float:
        """Return the milliseconds that so many per cent of the requests took at most."""
        return self.milliseconds[min(self.requests - 1, int(self.requests * percent / 100))]


class _Run:
    """What the connections share: what to send, what became of it, and whether to go on."""

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
    """One connection, with one request at a time on its way."""

    def __init__(self, run: _Run) -> None:
        self._run = run
        self._transport = cast("asyncio.Transport", None)  # there is one as soon as it is connected
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
    """Send these requests, over and over, to a server on 127.0.0.1.

    The gauges are read while nothing is on its way: what they rise by is of these requests alone.

    Args:
        port: The server's.
        requests: Each as its bytes.
        concurrency: How many connections, each with one request on its way.
        seconds: How long to send new ones; the last answers are waited for.
        gauges: Are read when the measurement begins and when it ends.

    Raises:
        LoadError: An answer was not 200.
    """
    gc.disable()  # a collection in the middle would seem to be the server's latency
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
        await _send(run, clients, 0)  # a first one each: the server has accepted every connection
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
    """Let every connection send for so long, at least once, and wait for the last answer.

    Raises:
        LoadError: An answer was not 200, or there was none.
    """
    run.milliseconds.clear()
    run.all_answered.clear()
    run.goes_on = seconds > 0
    for client in clients:
        client.send()
    with suppress(TimeoutError):  # it is over early only where something failed
        await asyncio.wait_for(run.all_answered.wait(), seconds)
    run.goes_on = False
    try:
        await asyncio.wait_for(run.all_answered.wait(), _GIVE_UP_SECONDS)
    except TimeoutError:
        run.failed(f"no answer within {_GIVE_UP_SECONDS} s")
    if run.failure:
        raise LoadError(run.failure)
