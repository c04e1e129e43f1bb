"""TCP servers in front of a real database server, or in its place, for tests of failed connections."""

from __future__ import annotations

import asyncio
import ssl
import subprocess
import threading
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]

_SSL_REQUEST = bytes.fromhex("0000000804d2162f")
"""https://www.postgresql.org/docs/current/protocol-message-formats.html."""

_AUTHORITY = """
[ca]
default_ca = expired
[expired]
database = {folder}/index
new_certs_dir = {folder}
serial = {folder}/serial
default_md = sha256
policy = any
x509_extensions = names
[any]
commonName = supplied
[names]
subjectAltName = DNS:localhost
"""


@contextmanager
def listening(serve: Serve) -> Iterator[int]:
    """Serve on a port of 127.0.0.1, in a thread with an event loop; yield the port."""
    loop = asyncio.new_event_loop()
    loop.set_exception_handler(lambda *_: None)  # clients disconnect at any time
    writers: list[asyncio.StreamWriter] = []

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writers.append(writer)
        with suppress(OSError, asyncio.IncompleteReadError):
            await serve(reader, writer)

    async def close() -> None:
        server.close()
        for writer in writers:
            writer.transport.abort()
        # The aborts end all reads, and so all tasks.
        await asyncio.wait([*asyncio.all_tasks() - {asyncio.current_task()}, loop.create_task(_nothing())])

    server = loop.run_until_complete(asyncio.start_server(accept, "127.0.0.1", 0))
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.run_until_complete(close())
        loop.run_until_complete(_nothing())
        loop.close()


async def _nothing() -> None:
    """Run one event loop iteration."""
    await asyncio.sleep(0)


def says(words: bytes, *, first: bool = False) -> Serve:
    """Send these bytes after the first request, or at once with `first`, and disconnect."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if not first:
            await reader.read(8)
        writer.write(words)
        with suppress(OSError):
            await writer.drain()
        writer.close()

    return serve


async def says_nothing(reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
    """Read until the client disconnects, without a response."""
    while await reader.read(65536):
        pass


def postgres(socket: str, context: ssl.SSLContext | None = None) -> Serve:
    """Proxy to a PostgreSQL server on a Unix socket; with a context, terminate TLS."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        to_server, from_server = b"", None
        if context is not None:
            to_server = await reader.readexactly(8)
            if to_server == _SSL_REQUEST:
                writer.write(b"S")
                await writer.start_tls(context)
                to_server = b""
        from_server, server = await asyncio.open_unix_connection(socket)
        server.write(to_server)
        try:
            await asyncio.gather(_pump(reader, server), _pump(from_server, writer))
        finally:
            server.transport.abort()

    return serve


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while words := await reader.read(65536):
            writer.write(words)
            await writer.drain()
    writer.close()


def make_certificate(folder: Path, name: str, *, host: str = "localhost", is_expired: bool = False) -> Path:
    """Create a self-signed certificate, with its key in the same file."""
    key, request, certificate = (folder / f"{name}.{end}" for end in ("key", "csr", "crt"))
    subject = ["-subj", f"/CN={host}", "-addext", f"subjectAltName=DNS:{host}"]
    new_key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", f"{key}"]
    if is_expired:
        (folder / "index").touch()
        (folder / "serial").write_text("01")
        (folder / "ca.cnf").write_text(_AUTHORITY.format(folder=folder))
        _openssl("req", "-new", *new_key, *subject, "-out", f"{request}")
        times = ["-startdate", "20200101000000Z", "-enddate", "20210101000000Z"]
        signed = ["-in", f"{request}", "-out", f"{certificate}", "-keyfile", f"{key}", "-selfsign"]
        _openssl("ca", "-config", f"{folder}/ca.cnf", "-batch", "-notext", *times, *signed)
    else:
        _openssl("req", "-x509", *new_key, *subject, "-out", f"{certificate}", "-days", "2")
    file = folder / f"{name}.pem"
    file.write_bytes(key.read_bytes() + certificate.read_bytes())
    return file


def _openssl(*words: str) -> None:
    subprocess.run(["openssl", *words], check=True, capture_output=True, timeout=60)  # noqa: S603, S607


def server_context(certificate: Path) -> ssl.SSLContext:
    """Return a server-side TLS context."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    return context
