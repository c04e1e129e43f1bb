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
from collections.abc import Callable, Iterator, Sequence
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


class _Client(asyncio.Protocol):
    """One connection, with one request at a time on its way."""

    def __init__(
        self, requests: Iterator[bytes], milliseconds: list[float], failed: Callable[[str], None]
    ) -> None:
        self._requests, self._milliseconds, self._failed = requests, milliseconds, failed
        self._transport = cast("asyncio.Transport", None)  # there is one as soon as it is connected
        self._received = b""
        self._began = 0.0
        self.stopped = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._send()

    def _send(self) -> None:
        request = next(self._requests)
        self._began = time.perf_counter()
        self._transport.write(request)

    def data_received(self, data: bytes) -> None:
        self._received += data
        end = self._received.find(b"\r\n\r\n")
        if end < 0:
            return
        length = _LENGTH.search(self._received, 0, end + 2)
        if not self._received.startswith(b"HTTP/1.1 200 ") or length is None:
            self._failed(f"{self._received[:300]!r}")
        elif len(self._received) >= end + 4 + int(length[1]):
            self._milliseconds.append((time.perf_counter() - self._began) * 1000)
            self._received = b""
            if not self.stopped:
                self._send()

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.stopped:
            self._failed(f"the connection was lost: {exc}")

    def close(self) -> None:
        self.stopped = True
        self._transport.close()


def load(
    port: int,
    requests: Sequence[bytes],
    *,
    concurrency: int,
    seconds: float,
    warm_up_seconds: float = 0.1,
    gauges: Sequence[Callable[[], float]] = (),
) -> Load:
    """Send these requests, over and over, to a server on 127.0.0.1.

    Args:
        port: The server's.
        requests: Each as its bytes.
        concurrency: How many connections, each with one request on its way.
        seconds: How long to measure; longer until there are as many answers as connections.
        warm_up_seconds: How long to wait before, while requests are sent already.
        gauges: Are read when the measurement begins and when it ends.

    Raises:
        LoadError: An answer was not 200.
    """
    # A collection in the middle of a measurement would be the server's latency.
    gc.collect()
    gc.disable()
    try:
        return uvloop.run(_load(port, requests, concurrency, seconds, warm_up_seconds, gauges))
    finally:
        gc.enable()


async def _load(
    port: int,
    requests: Sequence[bytes],
    concurrency: int,
    seconds: float,
    warm_up_seconds: float,
    gauges: Sequence[Callable[[], float]],
) -> Load:
    loop = asyncio.get_running_loop()
    failure: asyncio.Future[None] = loop.create_future()

    def failed(reason: str) -> None:
        if not failure.done():
            failure.set_exception(LoadError(reason))

    milliseconds: list[float] = []
    endless = itertools.cycle(requests)
    clients: list[_Client] = []
    try:
        for _ in range(concurrency):
            _, client = await loop.create_connection(
                lambda: _Client(endless, milliseconds, failed), "127.0.0.1", port
            )
            clients.append(client)
        await asyncio.wait([failure], timeout=warm_up_seconds)
        milliseconds.clear()
        before, began = [gauge() for gauge in gauges], time.perf_counter()
        await asyncio.wait([failure], timeout=seconds)
        end = time.perf_counter() + _GIVE_UP_SECONDS
        while len(milliseconds) < concurrency and not failure.done() and time.perf_counter() < end:
            await asyncio.wait([failure], timeout=0.1)
        lasted, after = time.perf_counter() - began, [gauge() for gauge in gauges]
        measured = sorted(milliseconds)
    finally:
        for client in clients:
            client.close()
    if failure.done():
        await failure
    if not measured:
        raise LoadError(f"no answer within {_GIVE_UP_SECONDS} s")
    return Load(lasted, measured, [now - then for now, then in zip(after, before, strict=True)])
