"""An address whose server can be changed, as a virtual IP, a DNS name or a proxy does in a failover."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path

from sqlalchemy import make_url


class TcpProxy:
    """Passes on bytes between each client and the server that was the target when it connected.

    Attributes:
        target: Where the next client is connected to: a Unix socket, or a host and a port.
        sent: How often clients sent something: where they wait for each answer, their round trips.
    """

    def __init__(self, server_url: str) -> None:
        """Take the URL of a database."""
        self.retarget(server_url)
        self.sent = 0
        self._server: asyncio.Server | None = None
        self._clients: set[asyncio.Task[None]] = set()

    def retarget(self, server_url: str) -> None:
        """Lead clients that connect from now on to another server; who is connected stays so."""
        self._database = make_url(server_url)
        query = self._database.query
        host = str(self._database.host or query.get("host", "127.0.0.1"))
        port = int(str(self._database.port or query.get("port", 5432)))
        self.target = Path(host, f".s.PGSQL.{port}") if host.startswith("/") else (host, port)

    @property
    def url(self) -> str:
        """The URL of the database at this address."""
        assert self._server is not None
        port = self._server.sockets[0].getsockname()[1]
        url = self._database.difference_update_query(["host", "port"]).set(host="127.0.0.1", port=port)
        return url.update_query_dict({"sslmode": "disable"}).render_as_string(hide_password=False)

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

    async def _connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        if isinstance(self.target, Path):
            return await asyncio.open_unix_connection(self.target)
        return await asyncio.open_connection(*self.target)

    def _count(self) -> None:
        self.sent += 1

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._clients.add(task)
        writers = [writer]
        try:
            with suppress(OSError):
                upstream = await self._connect()
                writers.append(upstream[1])
                await asyncio.gather(
                    _pass_on(reader, upstream[1], self._count), _pass_on(upstream[0], writer)
                )
        finally:
            for each in writers:
                each.close()
            self._clients.discard(task)


async def _pass_on(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, note: Callable[[], None] = lambda: None
) -> None:
    """Copy until one side closes, which ends the other one, too."""
    try:
        while data := await reader.read(65536):
            note()
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
