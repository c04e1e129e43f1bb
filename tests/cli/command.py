"""Runs the installed `eitherdb` as its user does, for the tests of commands and of migrations.

It is a process of its own, in a temporary folder, and has only the variables that it is given.
"""

from __future__ import annotations

import asyncio
import io
import os
import random
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, chdir, redirect_stderr, redirect_stdout, suppress
from dataclasses import dataclass
from pathlib import Path
from unittest.mock import patch
from urllib.parse import urlsplit

import httpx2
import pytest

from cli.commands import main
from config import Settings
from tests.provision import SECRET_KEY, Provision

ROOT = Path(__file__).parents[2]
EITHERDB = Path(sys.executable).with_name("eitherdb")
PACKAGES = ("api", "backends", "cli", "config", "migrations")
HEALTH = "/api/v1/utils/health-check/"

TIMEOUT_SECONDS = 60
SHUTDOWN_SECONDS = 10
BY_SIGNAL = {signal.SIGTERM: {0, -15, 128 + 15}, signal.SIGINT: {0, -2, 128 + 2}}
"""The exit codes that tell of a clean end on a signal."""


@dataclass(frozen=True)
class Result:
    """What a command wrote, and its exit code."""

    exit_code: int
    out: str
    err: str

    def refusal(self) -> str:
        """Return the one line with which a command refuses, after seeing that it is just that."""
        assert self.exit_code == 2, self
        assert self.out == "", self
        (line,) = self.err.splitlines()
        assert line.startswith("eitherdb: "), line
        return line.removeprefix("eitherdb: ")


def environment(folder: Path, settings: Settings | None = None, **variables: str) -> dict[str, str]:
    """Return the variables of a clean environment, with those that these settings are made of."""
    clean = {"PATH": os.environ["PATH"], "HOME": str(folder), "COLUMNS": "200", "LANG": "C.UTF-8"}
    clean |= {"NO_COLOR": "1", "SECRET_KEY": SECRET_KEY}
    if settings is not None:
        clean |= {"DB_BACKEND": settings.db_backend, "DATABASE_URL": settings.url}
        clean |= {"MONGO_DRIVER": settings.mongo_driver}
    return clean | variables


def run(
    folder: Path, *arguments: str, settings: Settings | None = None, stdin: str = "", **variables: str
) -> Result:
    """Run `eitherdb` to its end."""
    done = subprocess.run(  # noqa: S603 - the installed command
        [EITHERDB, *arguments],
        cwd=folder,
        env=environment(folder, settings, **variables),
        input=stdin,
        capture_output=True,
        text=True,
        timeout=TIMEOUT_SECONDS,
        check=False,
        start_new_session=True,  # no terminal to ask on
    )
    assert "Traceback" not in done.stderr, done.stderr
    return Result(done.returncode, done.stdout, done.stderr)


def call(
    folder: Path, *arguments: str, settings: Settings | None = None, stdin: str = "", **variables: str
) -> Result:
    """Do what `run` does in this process: for the many ways to be wrong, at a tenth of the time."""
    out, err = io.StringIO(), io.StringIO()
    with (
        patch.dict(os.environ, environment(folder, settings, **variables), clear=True),
        patch.object(sys, "argv", ["eitherdb", *arguments]),
        patch.object(sys, "stdin", io.StringIO(stdin)),
        chdir(folder),
        redirect_stdout(out),
        redirect_stderr(err),
        pytest.raises(SystemExit) as stop,
    ):
        main()
    return Result(int(stop.value.code or 0), out.getvalue(), err.getvalue())


async def eitherdb(
    folder: Path, *arguments: str, settings: Settings | None = None, stdin: str = "", **variables: str
) -> Result:
    """Do `run` while the event loop goes on."""
    return await asyncio.to_thread(
        lambda: run(folder, *arguments, settings=settings, stdin=stdin, **variables)
    )


async def call_async(
    folder: Path, *arguments: str, settings: Settings | None = None, stdin: str = ""
) -> Result:
    """Do `call` outside of the event loop: a command runs one of its own."""
    return await asyncio.to_thread(lambda: call(folder, *arguments, settings=settings, stdin=stdin))


@dataclass(frozen=True)
class Serving:
    """An `eitherdb` that serves until it gets a signal."""

    url: str
    process: subprocess.Popen[bytes]
    log: Path

    @property
    def output(self) -> str:
        """All that it wrote so far."""
        return self.log.read_text()

    async def end(self, by: signal.Signals) -> int:
        """Send the signal; return the exit code, which must come within 10 seconds."""
        self.process.send_signal(by)
        return await asyncio.to_thread(self.process.wait, SHUTDOWN_SECONDS)

    def is_gone(self) -> bool:
        """Return whether no process of its group is left, of its workers neither."""
        try:
            os.killpg(self.process.pid, 0)
        except ProcessLookupError:
            return True
        return False


@asynccontextmanager
async def serving(
    folder: Path, *arguments: str, settings: Settings | None = None, **variables: str
) -> AsyncIterator[Serving]:
    """Start `eitherdb serve` or `dev` on a free port, wait until it answers; end it and its workers."""
    port = free_port()
    log = folder / f"eitherdb-{port}.log"
    with log.open("wb") as output:
        process = subprocess.Popen(  # noqa: ASYNC220, S603 - returns at once; the installed command
            [EITHERDB, *arguments, "--port", str(port)],
            cwd=folder,
            env=environment(folder, settings, PYTHONUNBUFFERED="1", **variables),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    server = Serving(f"http://127.0.0.1:{port}", process, log)
    try:
        await until(lambda: process.poll() is not None or answers(server.url), server)
        assert process.poll() is None, server.output
        yield server
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait(TIMEOUT_SECONDS)


async def until(holds: Callable[[], bool], server: Serving, *, seconds: float = 30) -> None:
    """Wait until it holds; fail with the server's output when the time is over."""

    def look() -> None:
        deadline = time.monotonic() + seconds
        while not holds():
            assert time.monotonic() < deadline, f"not in {seconds} s; it wrote:\n{server.output}"
            time.sleep(0.02)

    await asyncio.to_thread(look)


def answers(url: str) -> bool:
    """Return whether the health check says true."""
    address = urlsplit(url)
    with socket.socket() as probe:
        # A client of HTTP loads certificates first: much work to find out that nobody listens yet.
        if probe.connect_ex((address.hostname, address.port)) != 0:
            return False
    try:
        response = httpx2.get(url + HEALTH, timeout=5)
    except httpx2.TransportError:
        return False
    return response.status_code == 200 and response.json() is True


def free_port() -> int:
    """Return a free port, below the range that outgoing connections take theirs from."""
    for port in random.sample(range(20_000, 32_768), k=50):
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port
    raise AssertionError("no free port")


@asynccontextmanager
async def database_on(provision: Provision) -> AsyncIterator[Settings]:
    """Give an empty database of one kind of server, to a test that is about that kind alone."""
    await provision.start()
    try:
        async with provision.empty_database() as settings:
            yield settings
    finally:
        await provision.stop()


def copy_tree(folder: Path) -> Path:
    """Copy the project's packages: what writes next to the code must not write into the checkout."""
    tree = folder / "tree"
    for package in PACKAGES:
        # With its bytecode, but for what another process is just writing: that has a number at its end.
        shutil.copytree(ROOT / package, tree / package, ignore=shutil.ignore_patterns("*.pyc.*"))
    return tree


def words(text: str) -> str:
    """Return the text with each run of white space as one blank, and without the frames of `--help`."""
    return re.sub(r"[\s│─╭╮╰╯]+", " ", text)
