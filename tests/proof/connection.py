"""A minimal HTTP/1.1 client on one persistent connection, with a tenth of the CPU time of a client library.

The load and the servers share the machine, so CPU time of the client slows the servers. The client also
gives the exact bytes of each response.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import dataclass
from urllib.parse import urlsplit

API = "/api/v1"


class Lost(Exception):
    """There was no response; the request may have been executed or not."""


@dataclass(frozen=True, slots=True)
class Reply:
    """A response."""

    status: int
    body: bytes
    retry_after_seconds: float | None = None


def post(path: str, body: bytes, *, token: str, key: str | None = None) -> bytes:
    """Return the bytes of a POST request, which can be sent repeatedly and to any server."""
    fields = {"Content-Type": "application/json", "Content-Length": str(len(body))}
    return _head("POST", path, token, fields | ({"Idempotency-Key": key} if key else {})) + body


def get(path: str, *, token: str) -> bytes:
    """Return the bytes of a GET request."""
    return _head("GET", path, token, {})


def _head(method: str, path: str, token: str, fields: dict[str, str]) -> bytes:
    fields = {"Host": "127.0.0.1", "Authorization": f"Bearer {token}"} | fields
    lines = [f"{method} {API}{path} HTTP/1.1", *(f"{name}: {value}" for name, value in fields.items())]
    return "\r\n".join([*lines, "", ""]).encode("ascii")


class Connection:
    """Sends requests to one server, one at a time; connects when necessary."""

    def __init__(self, url: str, *, timeout_seconds: float) -> None:
        address = urlsplit(url)
        self._host, self._port = address.hostname, address.port
        self._timeout_seconds = timeout_seconds
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def ask(self, request: bytes) -> Reply:
        """Send a request; return the response, which must have a Content-Length.

        Raises:
            Lost: The connection failed or the timeout expired.
        """
        answered = False
        try:
            async with asyncio.timeout(self._timeout_seconds):
                reader, writer = await self._connected()
                writer.write(request)
                reply = await _read(reader)
                answered = True
                return reply
        except (OSError, EOFError) as exc:  # TimeoutError is an OSError, IncompleteReadError an EOFError
            raise Lost(repr(exc)) from exc
        finally:
            if not answered:
                await self.close()

    async def send_and_close(self, request: bytes) -> None:
        """Send a request and close the connection before the response.

        Raises:
            Lost: The request could not be sent.
        """
        try:
            async with asyncio.timeout(self._timeout_seconds):
                _, writer = await self._connected()
                writer.write(request)
                await writer.drain()
        except OSError as exc:
            raise Lost(repr(exc)) from exc
        finally:
            await self.close()

    async def close(self) -> None:
        """Close the connection."""
        if self._streams is not None:
            _, writer = self._streams
            self._streams = None
            writer.close()
            with suppress(OSError):
                await writer.wait_closed()

    async def _connected(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        if self._streams is not None and self._streams[0].at_eof():
            await self.close()  # the server closed the idle connection
        if self._streams is None:
            self._streams = await asyncio.open_connection(self._host, self._port)
        return self._streams


async def _read(reader: asyncio.StreamReader) -> Reply:
    status_line, *lines = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
    fields = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    body = await reader.readexactly(int(fields["content-length"]))
    retry_after = fields.get("retry-after")
    return Reply(int(status_line.split(" ", 2)[1]), body, float(retry_after) if retry_after else None)
