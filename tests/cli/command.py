"""Run the installed `eitherdb` like a user, for the tests of commands and migrations.

Each command is a subprocess in a temporary folder, with only the given environment variables.
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
PACKAGES = ("api", "backends", "cli", "config", "eitherdb", "migrations")
HEALTH = "/api/v1/utils/health-check/"

TIMEOUT_SECONDS = 60
SHUTDOWN_SECONDS = 10
BY_SIGNAL = {signal.SIGTERM: {0, -15, 128 + 15}, signal.SIGINT: {0, -2, 128 + 2}}
"""The exit codes of a clean shutdown by a signal."""


@dataclass(frozen=True)
class Result:
    """A command's output and exit code."""

    exit_code: int
    out: str
    err: str

    def refusal(self) -> str:
        """Return the line with which a command refuses; assert that it is the only output."""
        assert self.exit_code == 2, self
        assert self.out == "", self
        (line,) = self.err.splitlines()
        assert line.startswith("eitherdb: "), line
        return line.removeprefix("eitherdb: ")


def environment(folder: Path, settings: Settings | None = None, **variables: str) -> dict[str, str]:
    """Return the variables of a clean environment, with those of the settings."""
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
        start_new_session=True,  # no terminal for prompts
    )
    assert "Traceback" not in done.stderr, done.stderr
    return Result(done.returncode, done.stdout, done.stderr)


def call(
    folder: Path, *arguments: str, settings: Settings | None = None, stdin: str = "", **variables: str
) -> Result:
    """Do the same as `run` in this process, in a tenth of the time."""
    out, err = io.StringIO(), io.StringIO()
    with (
        patch.dict(os.environ, environment(folder, settings, **variables), clear=True),
        patch.object(sys, "argv", ["eitherdb", *arguments]),
        patch.object(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin.encode()))),
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
    """Call `run` in a thread."""
    return await asyncio.to_thread(
        lambda: run(folder, *arguments, settings=settings, stdin=stdin, **variables)
    )


async def call_async(
    folder: Path, *arguments: str, settings: Settings | None = None, stdin: str = "", **variables: str
) -> Result:
    """Call `call` in a thread, because a command runs its own event loop."""
    return await asyncio.to_thread(
        lambda: call(folder, *arguments, settings=settings, stdin=stdin, **variables)
    )


@dataclass(frozen=True)
class Serving:
    """An `eitherdb` process that serves until it receives a signal."""

    url: str
    process: subprocess.Popen[bytes]
    log: Path

    @property
    def output(self) -> str:
        """The output so far."""
        return self.log.read_text()

    async def end(self, by: signal.Signals) -> int:
        """Send the signal; return the exit code, with a timeout of 10 seconds."""
        self.process.send_signal(by)
        return await asyncio.to_thread(self.process.wait, SHUTDOWN_SECONDS)

    def is_gone(self) -> bool:
        """Return whether no process of its group is left, workers included."""
        try:
            os.killpg(self.process.pid, 0)
        except ProcessLookupError:
            return True
        return False


@asynccontextmanager
async def serving(
    folder: Path, *arguments: str, settings: Settings | None = None, **variables: str
) -> AsyncIterator[Serving]:
    """Start `eitherdb serve` or `dev` on a free port, wait until it responds; end it and its workers."""
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
        await until(lambda: process.poll() is not None or is_healthy(server.url), server)
        assert process.poll() is None, server.output
        yield server
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait(TIMEOUT_SECONDS)


async def until(holds: Callable[[], bool], server: Serving, *, seconds: float = 30) -> None:
    """Wait until the condition holds; fail with the server's output at the timeout."""

    def poll() -> None:
        deadline = time.monotonic() + seconds
        while not holds():
            assert time.monotonic() < deadline, f"timeout of {seconds} s; its output:\n{server.output}"
            time.sleep(0.02)

    await asyncio.to_thread(poll)


def is_healthy(url: str) -> bool:
    """Return whether the health check responds with true."""
    address = urlsplit(url)
    with socket.socket() as probe:
        # An HTTP client loads certificates first: expensive while the server does not listen yet.
        if probe.connect_ex((address.hostname, address.port)) != 0:
            return False
    try:
        response = httpx2.get(url + HEALTH, timeout=5)
    except httpx2.TransportError:
        return False
    return response.status_code == 200 and response.json() is True


def free_port() -> int:
    """Return a free port, below the ephemeral port range."""
    for port in random.sample(range(20_000, 32_768), k=50):
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port
    raise AssertionError("no free port")


@asynccontextmanager
async def database_on(provision: Provision) -> AsyncIterator[Settings]:
    """Yield an empty database of one kind of server, for a test of that kind only."""
    await provision.start()
    try:
        async with provision.empty_database() as settings:
            yield settings
    finally:
        await provision.stop()


def copy_tree(folder: Path) -> Path:
    """Copy the project's packages, so that a command that writes beside the code spares the checkout."""
    tree = folder / "tree"
    for package in PACKAGES:
        # With bytecode, except files that another process is writing: their names end with a number.
        shutil.copytree(ROOT / package, tree / package, ignore=shutil.ignore_patterns("*.pyc.*"))
    return tree


def words(text: str) -> str:
    """Return the text with each run of white space as one space, and without the frames of `--help`."""
    return re.sub(r"[\s│─╭╮╰╯]+", " ", text)
