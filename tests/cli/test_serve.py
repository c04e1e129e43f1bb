"""`eitherdb serve` and `dev`: start, shutdown and one-line refusals."""

from __future__ import annotations

import asyncio
import re
import signal
import socket
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import httpx2
import pytest
from sqlalchemy import make_url

from migrations import open_migrator
from tests.cli.command import (
    BY_SIGNAL,
    Serving,
    call,
    call_async,
    database_on,
    eitherdb,
    free_port,
    is_healthy,
    serving,
    until,
)
from tests.conftest import ONE_BACKEND, find_provision
from tests.migrations.numbers import every_number
from tests.provision import Provision, Servers, make_settings

PASSWORD = re.compile(r"Password +(\S+)\n")


async def log_in(server: Serving, email: str, password: str) -> int:
    """Sign in over HTTP; return the response's status code."""
    async with httpx2.AsyncClient(base_url=f"{server.url}/api/v1", timeout=30) as client:
        form = {"username": email, "password": password}
        return (await client.post("/login/access-token", data=form)).status_code


async def test_serve_refuses_an_empty_schema(migrated: Provision, tmp_path: Path) -> None:
    """One line has the command that fixes it; nothing is migrated and nothing is served."""
    async with migrated.empty_database() as settings:
        refused = await call_async(tmp_path, "serve", "--port", str(free_port()), settings=settings)
        assert "eitherdb migrate upgrade" in refused.refusal()
        assert await open_migrator(settings).current() is None


async def test_serve_migrate_started_twice_at_once_applies_once(
    migrated: Provision, tmp_path: Path
) -> None:
    """Two instances on one empty database both start; each shuts down cleanly on its signal."""
    async with migrated.empty_database() as settings:
        async with AsyncExitStack() as stack:
            start = [
                stack.enter_async_context(serving(tmp_path, "serve", "--migrate", settings=settings))
                for _ in BY_SIGNAL
            ]
            servers = await asyncio.gather(*start)
            outputs = "".join(server.output for server in servers)
            for number in every_number(settings):
                assert outputs.count(f"Applied migration {number}") == 1
            assert len(PASSWORD.findall(outputs)) == 1
            for server, (signum, exit_codes) in zip(servers, BY_SIGNAL.items(), strict=True):
                assert await server.end(signum) in exit_codes
                assert server.is_gone()
                assert "Traceback" not in server.output
        assert await open_migrator(settings).check() == []


@ONE_BACKEND
async def test_serve_with_workers_serves_and_ends_with_all_of_them(
    migrated: Provision, tmp_path: Path
) -> None:
    """Two workers start, one creates the first superuser, and no process outlives the parent."""
    await migrated.clean()
    async with serving(tmp_path, "serve", "--workers", "2", settings=migrated.settings) as server:
        await until(lambda: server.output.count("Application startup complete") == 2, server)
        assert len(PASSWORD.findall(server.output)) == 1
        assert await server.end(signal.SIGTERM) in BY_SIGNAL[signal.SIGTERM]
        # Python's resource tracker for shared memory ends a moment later.
        await until(server.is_gone, server, seconds=5)
        assert "Traceback" not in server.output


async def test_serve_shows_no_secret(servers: Servers, tmp_path: Path) -> None:
    """The output has the addresses and the database, but no password and no access log."""
    async with database_on(find_provision("postgres", servers)) as open_to_all:
        url = make_url(open_to_all.url).set(username="postgres", password="hunter/2")
        settings = make_settings(db_backend="postgres", database_url=str(url).replace("***", "hunter/2"))
        async with serving(
            tmp_path,
            "serve",
            "--migrate",
            settings=settings,
            FIRST_SUPERUSER="root@example.com",
            FIRST_SUPERUSER_PASSWORD="correct horse",
        ) as server:
            assert await log_in(server, "root@example.com", "correct horse") == 200
            for expected in (
                f"{server.url}/api/v1",
                f"{server.url}/docs",
                "PostgreSQL",
                "root@example.com",
            ):
                assert expected in server.output
            for unexpected in ("hunter", "correct horse", "POST"):
                assert unexpected not in server.output


async def test_serve_handles_root_path_header_whitespace_and_head(tmp_path: Path) -> None:
    """Requests below ROOT_PATH, with white space after a header, and HEAD work over a real connection."""
    async with serving(tmp_path, "serve", "--migrate", ROOT_PATH="/shop/") as server:
        assert f"{server.url}/shop/docs" in server.output
        host, port = server.url.removeprefix("http://").split(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        for method, path in (("HEAD", "/shop/api/v1/items"), ("GET", "/api/v1/utils/health-check/")):
            lines = (f"{method} {path} HTTP/1.1", "Host: x", "Origin: http://localhost:5173 \t", "", "")
            writer.write("\r\n".join(lines).encode())
        head, rest = (await reader.readuntil(b"true")).decode().split("\r\n\r\n", 1)
        writer.close()
    assert head.startswith("HTTP/1.1 307 ")
    assert "location: /shop/api/v1/items/\r\n" in head
    assert rest.startswith("HTTP/1.1 200 ")
    assert "access-control-allow-origin: http://localhost:5173\r\n" in rest


@pytest.mark.parametrize(
    ("command", "variables", "named"),
    [
        (["serve", "--migrate"], {"SECRET_KEY": ""}, ["SECRET_KEY", "32 bytes", "ENVIRONMENT"]),
        (["serve", "--migrate"], {}, []),
        (["dev"], {"SECRET_KEY": ""}, []),
    ],
    ids=["serve", "serve with a key", "dev"],
)
async def test_serve_warns_of_the_public_secret_key(
    command: list[str], variables: dict[str, Any], named: list[str], tmp_path: Path
) -> None:
    """The warning names both settings and their valid values; `dev` does not warn."""
    async with serving(tmp_path, *command, **variables) as server:
        warning = server.output.partition("WARNING: ")[2]
        assert bool(warning) is bool(named)
        assert [word for word in named if word in warning] == named


@pytest.mark.parametrize("backend", ["sqlite", "postgres"])
@pytest.mark.parametrize("command", [["serve", "--migrate"], ["dev"]], ids=" ".join)
def test_start_on_a_taken_port_is_refused_before_anything_starts(
    command: list[str], backend: str, tmp_path: Path
) -> None:
    """One line names the option; no database is created and no database server is started."""
    # `dev` would start a server without a URL; `serve` would connect to this one.
    url = "postgresql://127.0.0.1:1/none" if (command[0], backend) == ("serve", "postgres") else ""
    with socket.create_server(("127.0.0.1", free_port())) as taken:
        port = str(taken.getsockname()[1])
        line = call(tmp_path, *command, "--port", port, DB_BACKEND=backend, DATABASE_URL=url).refusal()
    example = " (`make run PORT=8001`)" if command == ["dev"] else ""
    assert line == f"--port {port}: Address already in use on 127.0.0.1; use another port{example}"
    assert list(tmp_path.iterdir()) == []


def test_serve_with_invalid_settings_reports_each_in_a_line(tmp_path: Path) -> None:
    """The exit code is 2, and the output has nothing but these lines."""
    refused = call(tmp_path, "serve", DB_BACKEND="oracle", DB_POOL_SIZE="0")
    assert (refused.exit_code, refused.out) == (2, "")
    first, second = refused.err.splitlines()
    assert first.startswith("eitherdb: DB_BACKEND: ")
    assert second.startswith("eitherdb: DB_POOL_SIZE: ")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("option", [["--port", "0"], ["--port", "65536"], ["--workers", "0"]])
def test_serve_with_a_number_out_of_range_is_refused(option: list[str], tmp_path: Path) -> None:
    """The error names the option."""
    refused = call(tmp_path, "serve", *option)
    assert refused.exit_code == 2
    assert option[0] in refused.err


def test_dev_with_invalid_settings_starts_no_database_server(tmp_path: Path) -> None:
    """The line names the setting, and not the URL that `dev` determines."""
    line = call(tmp_path, "dev", DB_BACKEND="mongo", MONGO_DRIVER="foo").refusal()
    assert line.startswith("MONGO_DRIVER: ")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("backend", ["postgres", "mongo"])
async def test_dev_shows_a_url_that_other_commands_accept(backend: str, tmp_path: Path) -> None:
    """`eitherdb check` connects to it while `dev` runs."""
    async with serving(tmp_path, "dev", DB_BACKEND=backend) as server:
        try:
            shown = re.search(r"^  Database .* at (\S+)$", server.output, re.MULTILINE)
            assert shown is not None
            found = await eitherdb(tmp_path, "check", DB_BACKEND=backend, DATABASE_URL=shown[1])
            assert (found.exit_code, found.err) == (0, "")
        finally:
            assert await server.end(signal.SIGTERM) in BY_SIGNAL[signal.SIGTERM]


async def test_dev_sets_everything_up_once(tmp_path: Path) -> None:
    """An empty folder becomes a service with a login; the password is shown once only."""
    async with serving(tmp_path, "dev") as server:
        for expected in (
            f"{server.url}/api/v1",
            f"{server.url}/docs",
            "SQLite",
            "admin@example.com",
            *(f"Applied migration {number}" for number in every_number(make_settings())),
        ):
            assert expected in server.output
        (password,) = PASSWORD.findall(server.output)
        assert len(password) >= 12
        assert await log_in(server, "admin@example.com", password) == 200
        assert await log_in(server, "admin@example.com", password + "x") == 400
        assert await server.end(signal.SIGINT) in BY_SIGNAL[signal.SIGINT]
        assert "Traceback" not in server.output
    assert (tmp_path / ".data/eitherdb.db").is_file()

    async with serving(tmp_path, "dev") as again:
        assert "Applied" not in again.output
        assert "Password" not in again.output
        assert password not in again.output
        assert await log_in(again, "admin@example.com", password) == 200
        assert is_healthy(again.url)
