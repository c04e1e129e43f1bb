"""Outages: a server that hangs, stops and comes back.

Errors come within the timeouts, without a restart.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import signal
import sqlite3
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast

import pytest

from backends import open_backend
from backends.errors import BackendError, ConnectionLost, Unavailable
from backends.models import Item, NewItem, NewUser
from backends.mongo.backend import MongoBackend
from backends.mongo.pages import Order, fetch_page
from backends.protocols import Backend
from cli.local_servers import LocalServer, start_mongo, start_postgres
from config import Settings
from migrations import open_migrator
from tests.backends.methods import METHODS, Rows, add_rows
from tests.backends.raw import opened, sql_connection
from tests.backends.record import connections_of, names, recorded
from tests.cli.command import free_port
from tests.provision import Provision, make_settings

# PyMongo leaves a socket to the garbage collector if it was connecting when the client closed.
pytestmark = pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning")

LIMIT_SECONDS = 1
"""Each timeout: for a connection from the pool, for connecting, and for a command."""

WORST_SECONDS = 2 * 3 * LIMIT_SECONDS + 6
"""The sum of all timeouts, doubled for a driver's retry, on a busy machine."""

UNAVAILABLE = {Unavailable, ConnectionLost}

LIMITS = {
    "db_pool_timeout_seconds": LIMIT_SECONDS,
    "db_connect_timeout_seconds": LIMIT_SECONDS,
    "db_command_timeout_seconds": LIMIT_SECONDS,
}
KINDS = ["postgres", "mongo-motor", "mongo-pymongo"]

HOLD_WRITE_LOCK = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
connection.execute("BEGIN IMMEDIATE")
print("held", flush=True)
sys.stdin.read()
connection.execute("ROLLBACK")
"""


@dataclass
class PrivateServer:
    """A server of one test, which may stop or freeze it."""

    kind: str
    folder: Path
    server: LocalServer = field(init=False)

    async def start(self) -> None:
        """Start the server on the same port."""
        if self.kind == "postgres":
            self.server = await asyncio.to_thread(start_postgres, self.folder, durable=False)
        else:
            self.server = await asyncio.to_thread(start_mongo, self.folder)

    async def stop(self) -> None:
        """Shut the server down."""
        await asyncio.to_thread(self.server.stop)

    def pids(self) -> list[int]:
        """Return the server's processes, the main one first; none if it is stopped."""
        children = Path(f"/proc/{self.server.pid}/task/{self.server.pid}/children")
        return [self.server.pid, *map(int, children.read_text().split())] if children.exists() else []

    def signal(self, signum: signal.Signals) -> None:
        """Send a signal to all processes of the server that still run."""
        for pid in self.pids():
            with contextlib.suppress(ProcessLookupError):  # A session's process may end meanwhile.
                os.kill(pid, signum)

    async def freeze(self) -> None:
        """Freeze the server: connections stay open without responses."""
        self.signal(signal.SIGSTOP)
        await asyncio.to_thread(self.wait_until_stopped)

    def wait_until_stopped(self) -> None:
        """Return when no thread runs. Threads stop one by one, and respond until then."""
        threads = [Path(f"/proc/{pid}/task") for pid in self.pids()]
        while any(state(stat) not in {"T", None} for thread in threads for stat in thread.glob("*/stat")):
            time.sleep(0.005)

    async def thaw(self) -> None:
        """Resume the server."""
        self.signal(signal.SIGCONT)

    def settings(self) -> Settings:
        """Return settings with short timeouts."""
        base, question_mark, options = self.server.url.partition("?")
        return make_settings(
            db_backend="postgres" if self.kind == "postgres" else "mongo",
            database_url=base + ("" if self.kind == "postgres" else "outage") + question_mark + options,
            mongo_driver="pymongo" if self.kind == "mongo-pymongo" else "motor",
            db_pool_size=2 * len(METHODS),  # A list with its count takes two.
            **LIMITS,
        )


def state(stat: Path) -> str | None:
    """Return the state of a thread: T if a signal stopped it, None if it is gone."""
    try:
        return stat.read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return None


@pytest.fixture(autouse=True)
def _collect_garbage() -> Iterator[None]:
    """Collect PyMongo's sockets here and ignore their warning, instead of in another test."""
    yield
    gc.collect()


@pytest.fixture(params=KINDS)
async def own(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[PrivateServer]:
    """Start a server of each kind in turn, and end it in any state."""
    own = PrivateServer(request.param, tmp_path)
    await own.start()
    yield own
    await own.thaw()
    await own.stop()


async def refusals(backend: Backend, rows: Rows) -> dict[str, tuple[type[object], float]]:
    """Call every method concurrently; return each error's class and duration."""
    loop = asyncio.get_running_loop()

    async def refusal(name: str) -> tuple[type[object], float]:
        began = loop.time()
        (result,) = await asyncio.gather(METHODS[name][0](backend, rows), return_exceptions=True)
        return type(result), loop.time() - began

    asking = [name for name, (_, statements, _) in METHODS.items() if statements]
    results = await asyncio.gather(*(refusal(name) for name in asking))
    return dict(zip(asking, results, strict=True))


async def calls_until_answer(backend: Backend, rows: Rows) -> int:
    """Return the number of failed calls before the first success."""
    for failed in range(10):
        try:
            assert await backend.users.get(rows.owner.id) == rows.owner
        except Unavailable:
            continue
        return failed
    pytest.fail("it does not come back")


async def test_outage_raises_unavailable_in_time_and_recovers(own: PrivateServer) -> None:
    """Frozen or stopped, every method raises Unavailable within its timeouts and leaks no connection."""
    settings = own.settings()
    await open_migrator(settings).upgrade()
    async with opened(open_backend(settings)) as backend:
        rows = await add_rows(backend)
        loop = asyncio.get_running_loop()
        for end, begin in ((own.freeze, own.thaw), (own.stop, own.start)):
            await asyncio.gather(*(backend.items.get(rows.item.id) for _ in range(5)))  # Fills the pool.
            await end()
            refused = await refusals(backend, rows)
            began = loop.time()
            with pytest.raises(Unavailable):
                await open_backend(settings)
            refused["open_backend"] = (Unavailable, loop.time() - began)
            assert backend.connections_in_use == 0
            await begin()

            errors = {name: error for name, (error, _) in refused.items()}
            assert {name: error for name, error in errors.items() if error not in UNAVAILABLE} == {}
            assert {name: took for name, (_, took) in refused.items() if took > WORST_SECONDS} == {}
            assert await calls_until_answer(backend, rows) <= 3
            # Refused writes were not applied, except those in transit when the server froze.
            assert (await backend.users.list()).count in {2, 3}
            assert backend.connections_in_use == 0


@pytest.mark.parametrize("kind", KINDS)
async def test_open_against_a_dead_port_fails_within_the_connect_timeout(kind: str) -> None:
    """The connect timeout applies, not the longer timeout of a command."""
    scheme = "postgresql" if kind == "postgres" else "mongodb"
    settings = make_settings(
        db_backend="postgres" if kind == "postgres" else "mongo",
        database_url=f"{scheme}://127.0.0.1:{free_port()}/none",
        mongo_driver="pymongo" if kind == "mongo-pymongo" else "motor",
        db_connect_timeout_seconds=LIMIT_SECONDS,
        db_command_timeout_seconds=60,
    )
    async with asyncio.timeout(WORST_SECONDS):
        with pytest.raises(Unavailable):
            await open_backend(settings)


@pytest.mark.parametrize("own", ["postgres"], indirect=True)
async def test_ended_sessions_raise_unavailable(own: PrivateServer) -> None:
    """An idle or active session that the server ends raises Unavailable, and its connection is replaced."""
    settings = own.settings()
    await open_migrator(settings).upgrade()
    kill = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid()"
    errors: set[type[Unavailable]] = set()
    async with opened(open_backend(settings)) as backend, sql_connection(settings) as operator:
        rows = await add_rows(backend)

        async def ask() -> None:
            deadline = time.monotonic() + 30
            # Few sessions end while they are active; those that are idle are replaced unnoticed.
            while not errors and time.monotonic() < deadline:
                try:
                    assert await backend.items.get(rows.item.id) == rows.item
                except Unavailable as exc:
                    errors.add(type(exc))

        asking = asyncio.gather(*(ask() for _ in range(10)))
        while not asking.done():
            await operator.exec_driver_sql(kill)
            await asyncio.sleep(0.005)
        await asking
        assert errors == {ConnectionLost}
        assert await calls_until_answer(backend, rows) < 10


# -- work without an end: the server is well, but a statement takes too long -------------------------


async def test_endless_statement_is_ended_in_time(sql: Provision) -> None:
    """A read and a write raise Unavailable after their timeout, and the connection is reusable."""
    on_sqlite = sql.settings.db_backend == "sqlite"
    series = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n"
    endless = series if on_sqlite else "SELECT pg_sleep(60)"
    write = f"UPDATE items SET version = ({endless})" if on_sqlite else endless  # noqa: S608 - constants
    settings = sql.settings.model_copy(update={"db_command_timeout_seconds": 0.5, "db_pool_size": 1})
    loop = asyncio.get_running_loop()
    async with opened(sql.open(settings)) as backend:
        rows = await add_rows(backend)
        connections = connections_of(backend)
        for statement in (endless, write):
            began = loop.time()
            with pytest.raises(Unavailable):
                await connections._fetch(statement, [])
            assert 0.4 < loop.time() - began < 0.5 + 4
        assert await backend.items.get(rows.item.id) == rows.item


SLOW_SUM = {
    "$reduce": {
        "input": {"$range": [0, 100_000]},
        "initialValue": "$version",
        "in": {"$add": ["$$value", 1]},
    }
}
"""Takes MongoDB some hundredths of a second per document."""


async def test_endless_list_is_ended_by_the_server(mongo: Provision) -> None:
    """The list is not retried, unlike after a socket timeout."""
    settings = mongo.settings.model_copy(update={"db_command_timeout_seconds": 0.5})
    loop = asyncio.get_running_loop()
    async with recorded(mongo, settings) as (backend, commands):
        rows = await add_rows(backend)
        await backend.items.add_many([NewItem(title="many")] * 1000, owner_id=rows.owner.id)
        driver = cast("MongoBackend", backend)._driver
        commands.clear()
        began = loop.time()
        with pytest.raises(Unavailable):
            await fetch_page(
                driver,
                driver.database["items"],
                [{"$expr": {"$lt": [SLOW_SUM, 0]}}],
                lambda document: document,
                Item,
                order=Order.by("title"),
                skip=0,
                limit=10,
                after=None,
                count=True,
            )
        assert 0.4 < loop.time() - began < 0.5 + 4
        assert names(commands) == ["aggregate"]


# -- SQLite: another process is the only thing that can be in the way ------------------------------


async def sqlite_backend(path: Path, *, timeout_seconds: float) -> Backend:
    """Open a migrated database with this timeout for its write lock."""
    settings = make_settings(
        db_backend="sqlite", database_url=f"sqlite:///{path}", db_command_timeout_seconds=timeout_seconds
    )
    await open_migrator(settings).upgrade()
    return await open_backend(settings)


@asynccontextmanager
async def write_lock_held_elsewhere(path: Path) -> AsyncIterator[None]:
    """Let another process hold SQLite's write lock."""
    holder = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", HOLD_WRITE_LOCK, path),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        assert holder.stdout is not None
        assert await asyncio.wait_for(holder.stdout.readline(), 30) == b"held\n"
        yield
    finally:
        await asyncio.wait_for(holder.communicate(b""), 30)


async def test_write_lock_of_another_process_times_out_as_unavailable(tmp_path: Path) -> None:
    """Writes wait and raise Unavailable after the timeout. Reads work meanwhile, and writes afterwards."""
    path = tmp_path / "shared.db"
    loop = asyncio.get_running_loop()
    async with opened(sqlite_backend(path, timeout_seconds=0.5)) as backend:
        rows = await add_rows(backend)
        async with write_lock_held_elsewhere(path):
            began = loop.time()
            writing = asyncio.gather(
                backend.users.add(NewUser(email="late@example.com", hashed_password="x")),
                backend.items.delete(rows.item.id),
                return_exceptions=True,
            )
            reads = 0
            while not writing.done():
                assert await backend.items.get(rows.item.id) == rows.item
                await asyncio.sleep(0)  # A look-up doesn't wait.
                reads += 1
            assert [type(error) for error in await writing] == [Unavailable, Unavailable]
            assert 0.5 <= loop.time() - began < 0.5 * 2 + 4
            assert reads > 10
            assert backend.connections_in_use == 0
        late = await backend.items.add(NewItem(title="late"), owner_id=rows.owner.id)
        assert (await backend.items.list()).data == [late, rows.item]
        assert (await backend.users.list()).count == 2


async def test_open_waits_for_a_writer_of_a_file_in_another_mode(tmp_path: Path) -> None:
    """The change to WAL needs a lock that SQLite doesn't wait for; two first starts can conflict."""
    path = tmp_path / "older.db"
    with closing(sqlite3.connect(path, isolation_level=None)) as writer:
        writer.execute("CREATE TABLE theirs (id INTEGER)")
        writer.execute("BEGIN IMMEDIATE")
        opening = asyncio.create_task(sqlite_backend(path, timeout_seconds=10))
        await asyncio.wait({opening}, timeout=0.3)
        writer.execute("COMMIT")
    async with opened(opening) as backend:
        await backend.check_schema()


async def test_damaged_file_raises_a_backend_error(tmp_path: Path) -> None:
    """A look-up, which doesn't run in a thread, raises the same error as other methods."""
    path = tmp_path / "damaged.db"
    async with opened(sqlite_backend(path, timeout_seconds=1)) as backend:
        rows = await add_rows(backend)
    async with opened(sqlite_backend(path, timeout_seconds=1)) as backend:
        path.write_bytes(b"x" * path.stat().st_size)
        for call in (backend.items.get(rows.item.id), backend.items.list()):
            with pytest.raises(BackendError):
                await call
