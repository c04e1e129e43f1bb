"""The event loop of `eitherdb serve`: how fast it accepts, and that it stops."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Coroutine
from contextlib import ExitStack
from typing import Any, cast

import pytest

from cli.event_loop import MAX_ACCEPTED, EventLoop

CLIENTS = 2 * MAX_ACCEPTED


class Connection(asyncio.Protocol):
    """Answers each message with itself."""

    made: list[asyncio.BaseTransport]

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Record the connection."""
        self._transport = cast("asyncio.Transport", transport)
        self.made.append(transport)

    def data_received(self, data: bytes) -> None:
        """Send the data back."""
        self._transport.write(data)


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> list[asyncio.BaseTransport]:
    """Return the list of accepted connections."""
    transports: list[asyncio.BaseTransport] = []
    monkeypatch.setattr(Connection, "made", transports, raising=False)
    return transports


def run(test: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """Run the coroutine in the event loop under test."""
    with asyncio.Runner(loop_factory=EventLoop) as runner:
        runner.run(test())


def test_burst_of_connections_is_accepted_in_a_few_iterations(made: list[asyncio.BaseTransport]) -> None:
    """An iteration for each connection is what libuv takes."""

    async def test() -> None:
        loop = asyncio.get_running_loop()
        server = await loop.create_server(Connection, "127.0.0.1", 0, backlog=CLIENTS)
        with ExitStack() as stack:
            for _ in range(CLIENTS):
                stack.enter_context(socket.create_connection(server.sockets[0].getsockname(), timeout=5))
            iterations = 0
            while len(made) < CLIENTS:
                await asyncio.sleep(0)
                iterations += 1
            server.close()
            assert iterations < CLIENTS / 8
            for transport in made:
                accepted = transport.get_extra_info("socket")
                assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
        await server.wait_closed()

    run(test)


def test_closed_server_accepts_nobody(made: list[asyncio.BaseTransport]) -> None:
    """Nobody connects any more; who is connected is answered."""

    async def test() -> None:
        loop = asyncio.get_running_loop()
        server = await loop.create_server(Connection, "127.0.0.1", 0)
        address = server.sockets[0].getsockname()
        with socket.create_connection(address, timeout=5) as client:
            await asyncio.sleep(0.01)
            assert len(made) == 1
            server.close()
            await asyncio.sleep(0)
            with pytest.raises(ConnectionRefusedError):
                socket.create_connection(address, timeout=5)
            client.sendall(b"hello")
            await asyncio.sleep(0.01)
            assert client.recv(5) == b"hello"
        await server.wait_closed()

    run(test)


def test_loop_ends_with_an_open_server() -> None:
    """As after an error of the server, which closes nothing."""

    async def test() -> None:
        await asyncio.get_running_loop().create_server(Connection, "127.0.0.1", 0)

    run(test)
