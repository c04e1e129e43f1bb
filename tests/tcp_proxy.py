"""An address whose server can be changed, as a virtual IP, a DNS name or a proxy does in a failover."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

from sqlalchemy import make_url


class TcpProxy:
    """Passes on bytes between each client and the server that was the target when it connected.

    Attributes:
        target: The path of the Unix socket that the next client is connected to.
    """

    def __init__(self, server_url: str) -> None:
        """Take the URL of a local PostgreSQL server."""
        self.retarget(server_url)
        self._server: asyncio.Server | None = None
        self._clients: set[asyncio.Task[None]] = set()

    def retarget(self, server_url: str) -> None:
        """Lead clients that connect from now on to another server; who is connected stays so."""
        folder, port = (make_url(server_url).query[name] for name in ("host", "port"))
        self.target = Path(str(folder), f".s.PGSQL.{port}")

    @property
    def url(self) -> str:
        """The URL of the database `postgres` at this address."""
        assert self._server is not None
        port = self._server.sockets[0].getsockname()[1]
        return f"postgresql://postgres@127.0.0.1:{port}/postgres?sslmode=disable"

    async def start(self) -> None:
        """Listen on a free port."""
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)

    async def stop(self) -> None:
        """Hang up on everybody."""
        assert self._server is not None
        self._server.close()
        for client in self._clients:
            client.cancel()
        await asyncio.gather(*self._clients, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._clients.add(task)
        writers = [writer]
        try:
            with suppress(OSError):
                upstream = await asyncio.open_unix_connection(self.target)
                writers.append(upstream[1])
                await asyncio.gather(_pass_on(reader, upstream[1]), _pass_on(upstream[0], writer))
        finally:
            for each in writers:
                each.close()
            self._clients.discard(task)


async def _pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Copy until one side closes, which ends the other one, too."""
    try:
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    finally:
        writer.close()


@asynccontextmanager
async def tcp_proxy(server_url: str) -> AsyncIterator[TcpProxy]:
    """Run a proxy in front of a server."""
    proxy = TcpProxy(server_url)
    await proxy.start()
    try:
        yield proxy
    finally:
        await proxy.stop()
