"""HTTP/1.1 on one persistent connection, at a tenth of the CPU time of a client library.

The load and the servers share the machine, so what the client takes is missing there. It also shows the
exact bytes of each answer.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import dataclass
from urllib.parse import urlsplit

API = "/api/v1"


class Lost(Exception):
    """There was no answer, so what was asked may have been done or not."""


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer as it came."""

    status: int
    body: bytes
    retry_after_seconds: float | None = None


def post(path: str, body: bytes, *, token: str, key: str | None = None) -> bytes:
    """Return the bytes of a request, which can be sent any number of times to any server."""
    fields = {"Content-Type": "application/json", "Content-Length": str(len(body))}
    return _head("POST", path, token, fields | ({"Idempotency-Key": key} if key else {})) + body


def get(path: str, *, token: str) -> bytes:
    """Return the bytes of a request that reads."""
    return _head("GET", path, token, {})


def _head(method: str, path: str, token: str, fields: dict[str, str]) -> bytes:
    fields = {"Host": "127.0.0.1", "Authorization": f"Bearer {token}"} | fields
    lines = [f"{method} {API}{path} HTTP/1.1", *(f"{name}: {value}" for name, value in fields.items())]
    return "\r\n".join([*lines, "", ""]).encode("ascii")


class Connection:
    """Asks one server one thing after the other; connects when it has to."""

    def __init__(self, url: str, *, timeout_seconds: float) -> None:
        address = urlsplit(url)
        self._host, self._port = address.hostname, address.port
        self._timeout_seconds = timeout_seconds
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def ask(self, request: bytes) -> Reply:
        """Send a request; return the answer, which must have a length.

        Raises:
            Lost: The connection broke or could not be made, or the time was over.
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

    async def send_and_go(self, request: bytes) -> None:
        """Send a request and hang up before the answer.

        Raises:
            Lost: It could not even be sent.
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
        """Hang up."""
        if self._streams is not None:
            _, writer = self._streams
            self._streams = None
            writer.close()
            with suppress(OSError):
                await writer.wait_closed()

    async def _connected(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        if self._streams is not None and self._streams[0].at_eof():
            await self.close()  # the server hung up, as it does after seconds without a request
        if self._streams is None:
            self._streams = await asyncio.open_connection(self._host, self._port)
        return self._streams


async def _read(reader: asyncio.StreamReader) -> Reply:
    status_line, *lines = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
    fields = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    body = await reader.readexactly(int(fields["content-length"]))
    retry_after = fields.get("retry-after")
    return Reply(int(status_line.split(" ", 2)[1]), body, float(retry_after) if retry_after else None)
