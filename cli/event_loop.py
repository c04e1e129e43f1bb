"""The event loop of `eitherdb serve`: uvloop, which here accepts several connections per iteration.

libuv accepts one connection per iteration of its loop. Under load an iteration handles a request of each
connection, so the last of 256 clients that connect at once waits for seconds
(`docs/adr/0016-the-server.md`).
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from typing import Any, cast

import uvloop

MAX_ACCEPTED = 64
"""The number of connections that one iteration accepts. The limit shares a burst among several workers."""


class EventLoop(uvloop.Loop):
    """uvloop with a faster `create_server`."""

    def __init__(self) -> None:
        self._servers: list[Server] = []

    def close(self) -> None:
        """Close the loop. It would wait for listeners that are still open, so they are closed first."""
        for server in self._servers:
            server.close()
        super().close()

    async def create_server(  # type: ignore[override] # a server with the methods that uvicorn needs
        self, protocol_factory: Callable[[], asyncio.BaseProtocol], *args: Any, **options: Any
    ) -> Server:
        """Listen as uvloop does, without TLS."""
        server = await super().create_server(protocol_factory, *args, **options)
        self._servers.append(Server(self, cast("asyncio.Server", server), protocol_factory))
        return self._servers[-1]


class Server:
    """A server that also accepts the connections that libuv leaves in the backlog.

    Attributes:
        sockets: The listening sockets.
    """

    def __init__(
        self,
        loop: EventLoop,
        server: asyncio.Server,
        protocol_factory: Callable[[], asyncio.BaseProtocol],
    ) -> None:
        self.sockets = server.sockets
        self._loop = loop
        self._server = server
        self._protocol_factory = protocol_factory
        self._accepting: set[asyncio.Task[Any]] = set()
        # libuv polls the sockets themselves, and a loop can poll a descriptor only once.
        self._listeners = [each.dup() for each in server.sockets]
        for listener in self._listeners:
            listener.setblocking(False)
            loop.add_reader(listener, self._accept, listener)

    def _accept(self, listener: socket.socket) -> None:
        for _ in range(MAX_ACCEPTED):
            try:
                connection, _ = listener.accept()
            except OSError:
                return  # none is left, or no descriptor is free, which libuv handles
            connection.setblocking(False)
            task = self._loop.create_task(
                self._loop.connect_accepted_socket(self._protocol_factory, connection)
            )
            self._accepting.add(task)
            task.add_done_callback(self._accepted)

    def _accepted(self, task: asyncio.Task[Any]) -> None:
        self._accepting.discard(task)
        if not task.cancelled():
            task.exception()  # retrieved: the client has closed the connection

    def close(self) -> None:
        """Stop listening."""
        for listener in self._listeners:
            self._loop.remove_reader(listener)
            listener.close()
        self._listeners.clear()
        self._server.close()

    async def wait_closed(self) -> None:
        """Wait until the server is closed."""
        await self._server.wait_closed()
