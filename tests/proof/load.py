"""The load: concurrent clients that retry until they get a final response, and record each response."""

from __future__ import annotations

import asyncio
import json
from collections import Counter, deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from tests.proof.connection import Connection, Lost, Reply
from tests.proof.workload import Order, SendMode

CLIENTS = 64
TIMEOUT_SECONDS = 90
LONGEST_PAUSE_SECONDS = 0.2
REPEATED_AFTER = 20
"""The number of the client's other orders between an order and its repetition."""


class Unexpected(AssertionError):
    """A response that no server may give."""


@dataclass(frozen=True, slots=True)
class Answer:
    """A final response, which every repetition must get too."""

    status: int
    body: bytes


class Load:
    """Sends all orders through two servers."""

    def __init__(self, urls: Sequence[str], orders: Sequence[Order]) -> None:
        self._urls = urls
        self._waiting = iter(orders)
        self._marks: dict[int, asyncio.Event] = {}
        self.total = len(orders)
        self.answers: dict[str, list[Answer]] = {}
        self.counts: Counter[str] = Counter()
        """Counts of everything except an immediate final response: 503, lost connections, …"""
        self.seconds = 0.0
        self._failed = asyncio.Event()
        self._finished = asyncio.Event()

    @property
    def answered(self) -> int:
        """The number of orders with a final response."""
        return len(self.answers)

    async def run(self) -> None:
        """Run the clients until each order has a final response.

        Raises:
            ExceptionGroup: With an `Unexpected`.
        """
        loop = asyncio.get_running_loop()
        began = loop.time()
        async with asyncio.TaskGroup() as clients:
            for _ in range(min(CLIENTS, self.total)):
                clients.create_task(self._client(self._waiting))
        self.seconds = loop.time() - began
        self._finished.set()

    async def reached(self, answered: int) -> None:
        """Wait until this number of orders has a final response."""
        if self.answered < answered:
            await self._marks.setdefault(answered, asyncio.Event()).wait()

    async def failure(self) -> None:
        """Wait until a request fails, or until the load is finished."""
        self._failed.clear()
        waiting = {asyncio.create_task(event.wait()) for event in (self._failed, self._finished)}
        try:
            await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in waiting:
                task.cancel()

    async def _client(self, orders: Iterator[Order]) -> None:
        connections = [Connection(url, timeout_seconds=TIMEOUT_SECONDS) for url in self._urls]
        to_repeat: deque[tuple[int, Order]] = deque()
        try:
            for number, order in enumerate(orders):
                await self._send(order, connections)
                if order.mode is SendMode.TWICE_LATER:
                    to_repeat.append((number + REPEATED_AFTER, order))
                if to_repeat and to_repeat[0][0] <= number:
                    await self._repeat(to_repeat.popleft()[1], connections)
            for _, order in to_repeat:
                await self._repeat(order, connections)
        finally:
            for connection in connections:
                await connection.close()

    async def _send(self, order: Order, connections: Sequence[Connection]) -> None:
        first, second = connections[order.server], connections[1 - order.server]
        match order.mode:
            case SendMode.TWICE_CONCURRENTLY:
                # One server each: a connection has only one outstanding request.
                both = (self._retry_until_answered(order, [each]) for each in (first, second))
                async with asyncio.TaskGroup() as tasks:
                    for asking in both:
                        tasks.create_task(asking)
            case SendMode.DISCONNECT_THEN_RETRY:
                self.counts["hung up"] += 1
                try:
                    await first.send_and_close(order.request)
                except Lost:
                    self._fail("lost")
                await self._retry_until_answered(order, [second, first])
            case _:
                await self._retry_until_answered(order, [first, second])

    async def _repeat(self, order: Order, connections: Sequence[Connection]) -> None:
        self.counts["repeated"] += 1
        await self._retry_until_answered(order, [connections[1 - order.server], connections[order.server]])

    async def _retry_until_answered(self, order: Order, connections: Sequence[Connection]) -> None:
        """Send the order to the servers in turn until one gives a final response."""
        turn = 0
        while True:
            pause = LONGEST_PAUSE_SECONDS
            try:
                reply = await connections[turn % len(connections)].ask(order.request)
            except Lost:
                self._fail("lost")
            else:
                if reply.status != 503:
                    return self._keep(order, reply)
                self._fail(f"503 {_code(reply)}")
                if reply.retry_after_seconds is None:
                    raise Unexpected(f"503 without Retry-After: {reply.body!r}")
                pause = min(pause, reply.retry_after_seconds)
            await asyncio.sleep(pause)
            turn += 1

    def _fail(self, how: str) -> None:
        self.counts[how] += 1
        self._failed.set()

    def _keep(self, order: Order, reply: Reply) -> None:
        if reply.status != 200 and (reply.status, _code(reply)) != (409, "insufficient_funds"):
            raise Unexpected(f"{order} was answered {reply.status} {reply.body!r}")
        self.answers.setdefault(order.key, []).append(Answer(reply.status, reply.body))
        if mark := self._marks.get(self.answered):
            mark.set()


def _code(reply: Reply) -> str:
    try:
        return str(json.loads(reply.body)["code"])
    except (ValueError, KeyError, TypeError):
        return repr(reply.body[:80])
