"""SQLite's file is moved, deleted, replaced or temporarily read-only: no write is lost."""

from __future__ import annotations

import asyncio
import os
import pwd
import sqlite3
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import cast

import pytest

from backends import open_backend
from backends.errors import Unavailable
from backends.models import ItemChanges
from backends.protocols import Backend
from backends.sql.sqlite import SqliteConnections
from backends.sql.sqlite_connection import RECENT_SECONDS
from migrations import open_migrator
from tests.backends.methods import Rows, add_rows
from tests.backends.raw import opened
from tests.backends.record import connections_of
from tests.proof.processes import short_folder
from tests.provision import make_settings

CONNECTIONS = 4


@asynccontextmanager
async def served(path: Path) -> AsyncIterator[tuple[Backend, Rows]]:
    """Open a migrated database with rows, and some connections of the pool."""
    settings = make_settings(
        db_backend="sqlite", database_url=f"sqlite:///{path}", db_pool_size=CONNECTIONS
    )
    await open_migrator(settings).upgrade()
    async with opened(open_backend(settings)) as backend:
        rows = await add_rows(backend)
        await use_all(backend)
        yield backend, rows


async def use_all(backend: Backend) -> None:
    """Use several connections concurrently."""
    query = connections_of(backend).query
    await asyncio.gather(*(query("SELECT count(*) FROM items") for _ in range(2 * CONNECTIONS)))


def title_in(path: Path) -> str:
    """Return the title that a new process reads."""
    connection = sqlite3.connect(path)
    try:
        return str(connection.execute("SELECT title FROM items").fetchone()[0])
    finally:
        connection.close()


async def test_deleted_file_is_reported_and_never_recreated(tmp_path: Path) -> None:
    """Nothing is written to a deleted file. When the file is restored, all calls work again."""
    path, away = tmp_path / "data" / "a.db", tmp_path / "away"
    path.parent.mkdir()
    async with served(path) as (backend, rows):
        path.parent.rename(away)
        path.parent.mkdir()
        await asyncio.sleep(2 * RECENT_SECONDS)
        for _ in range(CONNECTIONS):
            with pytest.raises(Unavailable, match="CANTOPEN"):
                await backend.items.update(rows.item.id, ItemChanges(title="lost"))
            with pytest.raises(Unavailable, match="CANTOPEN"):
                await backend.items.get(rows.item.id)
        assert list(path.parent.iterdir()) == []
        path.parent.rmdir()
        away.rename(path.parent)
        await asyncio.sleep(2 * RECENT_SECONDS)
        assert await backend.items.get(rows.item.id) == rows.item
        for number in range(2 * CONNECTIONS):
            await backend.items.update(rows.item.id, ItemChanges(title=f"back {number}"))
        await use_all(backend)
    assert title_in(path) == f"back {number}"


async def test_replaced_file_is_read_and_written(tmp_path: Path) -> None:
    """After an operator has restored a backup in place of the file, writes go to the new file."""
    path, backup = tmp_path / "a.db", tmp_path / "backup.db"
    async with served(path) as (backend, rows):
        with sqlite3.connect(path) as source, sqlite3.connect(backup) as target:
            source.backup(target)
        source.close()
        target.close()
        await backend.items.update(rows.item.id, ItemChanges(title="after the backup"))
        for ending in ("", "-wal", "-shm"):
            path.with_name(f"a.db{ending}").rename(tmp_path / f"old.db{ending}")
        backup.rename(path)
        await asyncio.sleep(2 * RECENT_SECONDS)
        assert await backend.items.get(rows.item.id) == rows.item
        assert (await backend.items.list()).data == [rows.item]
        for number in range(2 * CONNECTIONS):
            await backend.items.update(rows.item.id, ItemChanges(title=f"new {number}"))
            await use_all(backend)
    assert title_in(path) == f"new {number}"
    assert title_in(tmp_path / "old.db") == "after the backup"


@contextmanager
def unprivileged(folder: Path) -> Iterator[None]:
    """Work in the folder as an unprivileged user, because root ignores its permissions."""
    if os.geteuid() != 0:
        yield
        return
    nobody = pwd.getpwnam("nobody").pw_uid
    for path in (folder, *folder.iterdir()):
        os.chown(path, nobody, -1)
    os.seteuid(nobody)
    try:
        yield
    finally:
        os.seteuid(0)


def change(connection: sqlite3.Connection) -> None:
    """Write a row."""
    assert connection.execute("UPDATE users SET version = version").rowcount > 0


async def test_temporarily_read_only_file_is_written_again() -> None:
    """A connection that was opened read-only is replaced when the file is writable again."""
    with short_folder() as folder, unprivileged(folder):
        path = folder / "a.db"
        settings = make_settings(
            db_backend="sqlite", database_url=f"sqlite:///{path}", db_pool_size=CONNECTIONS
        )
        await open_migrator(settings).upgrade()
        async with opened(open_backend(settings)) as backend:
            rows = await add_rows(backend)
            path.chmod(0o444)
            await use_all(backend)
            connections = cast("SqliteConnections", connections_of(backend))._all
            refused = 0
            for connection in connections:
                try:
                    connection.do(change)
                except sqlite3.OperationalError:
                    refused += 1
            assert 0 < refused < CONNECTIONS
            await use_all(backend)
            path.chmod(0o644)
            for connection in connections:
                connection.do(change)
            await backend.items.update(rows.item.id, ItemChanges(title="written"))
            assert title_in(path) == "written"


FORKS = """
import os, sqlite3, sys
from backends.sql.engine import set_pragmas
from backends.sql.sqlite_connection import SqliteConnection

def connect():
    connection = sqlite3.connect(sys.argv[1], isolation_level=None)
    set_pragmas(connection, foreign_keys=True)
    return connection

connection = SqliteConnection(lambda: None, connect)
connection.do(lambda made: made.execute("CREATE TABLE numbers (number)"))
reader, writer = os.pipe()
child = os.fork()
if not child:
    connection.do(lambda made: made.execute("SELECT * FROM numbers").fetchall())
    os.read(reader, 1)  # until the parent has closed its connection, the last one that it sees
    connection.do(lambda made: made.execute("INSERT INTO numbers VALUES (1)"))
    os._exit(0)
connection.do(lambda made: made.execute("INSERT INTO numbers VALUES (2)"))
connection.close()
os.write(writer, b"1")
assert os.waitpid(child, 0)[1] == 0
print(sorted(connection.do(lambda made: made.execute("SELECT number FROM numbers").fetchall())))
"""


def test_forked_process_that_outlives_the_connections_of_its_parent_loses_no_write(tmp_path: Path) -> None:
    """A connection of the child takes locks of its own, so nobody deletes the WAL that it writes to."""
    words = [sys.executable, "-c", FORKS, str(tmp_path / "forked.db")]
    done = subprocess.run(  # noqa: S603 - this interpreter
        words, capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.stdout, done.stderr) == ("[(1,), (2,)]\n", "")
