"""A real PgBouncer in front of a PostgreSQL server of the tests."""

from __future__ import annotations

import os
import pwd
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

from sqlalchemy import make_url

from tests.cli.command import free_port

PoolMode = Literal["session", "transaction", "statement"]

PROGRAM = shutil.which("pgbouncer") or shutil.which("pgbouncer", path="/usr/sbin:/usr/local/sbin")
"""None where it is not installed: then tests marked `pgbouncer` are left out, which the summary says."""

READY_SECONDS = 20


@contextmanager
def pgbouncer(server_url: str, mode: PoolMode, **settings: object) -> Iterator[str]:
    """Run a PgBouncer; yield the URL of a database of `server_url`'s name behind it.

    It has only the settings that it can't do without. Everybody may log in, under any name.

    Args:
        server_url: A database of a PostgreSQL server.
        mode: Its `pool_mode`.
        settings: Further settings, as in the section `[pgbouncer]` of its file.
    """
    assert PROGRAM is not None, "mark the test with pytest.mark.pgbouncer"
    server = make_url(server_url)
    host = server.host or str(server.query.get("host", "127.0.0.1"))
    port = server.port or int(str(server.query.get("port", 5432)))
    user = server.username or "postgres"
    listen_port = free_port()
    options = {
        "listen_addr": "127.0.0.1",
        "listen_port": listen_port,
        "unix_socket_dir": "",
        "auth_type": "any",
        "pool_mode": mode,
        **settings,
    }
    password = f" password={server.password}" if server.password else ""
    lines = [
        "[databases]",
        f"* = host={host} port={port} user={user}{password}",
        "[pgbouncer]",
        *(f"{name} = {value}" for name, value in options.items()),
    ]
    with tempfile.TemporaryDirectory(prefix="edb-") as folder:
        Path(folder).chmod(0o755)
        file, log = Path(folder, "pgbouncer.ini"), Path(folder, "pgbouncer.log")
        file.write_text("\n".join(lines) + "\n")
        file.chmod(0o644)
        with log.open("wb") as output:
            process = subprocess.Popen(  # noqa: S603 - the program, and words of this module
                [*_not_as_root(), PROGRAM, file], stdout=output, stderr=output
            )
        try:
            _wait_until_ready(process, listen_port, log)
            url = server.set(host="127.0.0.1", port=listen_port, username=user, password=None)
            yield url.difference_update_query(["host", "port"]).render_as_string(hide_password=False)
        finally:
            process.terminate()  # SIGTERM ends it at once
            process.wait(READY_SECONDS)


def _not_as_root() -> list[str]:
    """Return the words that go before PgBouncer's command, which refuses to run as root.

    It may still pass every folder: those of the tests' servers are closed to other users.
    """
    if os.geteuid() != 0:
        return []
    user = pwd.getpwnam("nobody")
    words = ["setpriv", f"--reuid={user.pw_uid}", f"--regid={user.pw_gid}", "--clear-groups"]
    return [*words, "--inh-caps=-all,+dac_override", "--ambient-caps=+dac_override"]


def _wait_until_ready(process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    deadline = time.monotonic() + READY_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.01)
    raise AssertionError(f"pgbouncer did not start:\n{log.read_text()}")
