"""The requirements of SQLite, its file and its folder, in `check`, `migrate` and `serve`."""

from __future__ import annotations

import os
import shutil
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from backends.requirements import Purpose
from backends.sql import sqlite_requirements
from config import Settings
from tests.cli.command import call, free_port
from tests.cli.refusals import refused_by_all
from tests.provision import make_settings

NOBODY = 65534


def settings_of(file: Path) -> Settings:
    """Return the settings of a database in this file."""
    return make_settings(db_backend="sqlite", database_url=f"sqlite:///{file}")


@pytest.mark.parametrize("encoding", ["UTF-16le", "UTF-16be"])
async def test_file_in_utf_16_is_refused(encoding: str, tmp_path: Path) -> None:
    """It compares text by UTF-16 bytes and not by code point; the remedy is a copy in UTF-8."""
    file = tmp_path / "theirs.db"
    with sqlite3.connect(file) as connection:
        connection.execute(f"PRAGMA encoding = '{encoding}'")
        connection.execute("CREATE TABLE theirs (id integer)")
    connection.close()
    await refused_by_all(
        tmp_path,
        settings_of(file),
        reason=f"the encoding of {file} is {encoding}; UTF-8 is needed to order text by code point",
        remedy=f"`sqlite3 {file} .dump | sqlite3 NEW`",
    )
    assert tables_in(file) == ["theirs"]


def tables_in(file: Path) -> list[str]:
    """Return the names of the tables in a file."""
    connection = sqlite3.connect(file)
    rows = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
    connection.close()
    return [name for (name,) in rows]


def found_by(connection: sqlite3.Connection) -> list[str]:
    """Return the unmet requirements of a file through this connection."""
    facts = sqlite_requirements.facts(Path("x.db"), connection)
    return [str(each) for each in sqlite_requirements.unmet(facts, Purpose.SERVE)]


def test_file_system_without_wal_is_refused(tmp_path: Path) -> None:
    """A VFS without shared memory behaves like a network file system."""
    uri = f"file:{tmp_path}/x.db?vfs=unix-dotfile"
    connection = sqlite3.connect(uri, uri=True, isolation_level=None, timeout=0)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA foreign_keys = ON")
    (found,) = found_by(connection)
    assert found.startswith("the journal mode of x.db is delete, and WAL can't be had")
    assert "not on a network file system" in found
    connection.close()


def test_file_that_is_opened_for_reading_is_refused(tmp_path: Path) -> None:
    """The check writes nothing, and a write lock of another connection does not disturb it."""
    file = tmp_path / "x.db"
    writer = sqlite3.connect(file, isolation_level=None, timeout=0)
    for statement in ("journal_mode = WAL", "foreign_keys = ON"):
        writer.execute(f"PRAGMA {statement}")
    reader = sqlite3.connect(f"file:{file}?mode=ro", uri=True, isolation_level=None, timeout=0)
    reader.execute("PRAGMA foreign_keys = ON")
    assert found_by(writer) == []
    (found,) = found_by(reader)
    assert found.startswith("x.db can't be written: attempt to write a readonly database (SQLITE_READONLY)")
    other = sqlite3.connect(file, isolation_level=None, timeout=0)
    other.execute("PRAGMA foreign_keys = ON")
    writer.execute("BEGIN IMMEDIATE")
    assert found_by(other) == []
    writer.execute("ROLLBACK")
    for connection in (writer, reader, other):
        connection.close()


FACTS: dict[str, Any] = {
    "file": Path("x.db"),
    "version": (3, 40, 1),
    "threadsafety": 3,
    "encoding": "UTF-8",
    "journal_mode": "wal",
    "is_foreign": False,
    "lacking": [],
    "write_error": None,
    "user": 1000,
}


@pytest.mark.parametrize(
    ("fact", "found"),
    [
        ({}, None),
        ({"version": (3, 34, 1)}, "Python's SQLite is 3.34.1; 3.35.0 or newer is needed"),
        ({"threadsafety": 0}, "Python's SQLite is built with SQLITE_THREADSAFE=0"),
        ({"lacking": ["foreign keys"]}, "Python's SQLite has no foreign keys (SQLITE_OMIT_FOREIGN_KEY)"),
        ({"lacking": ["JSON"]}, "Python's SQLite has no JSON (SQLITE_OMIT_JSON)"),
    ],
)
def test_build_that_lacks_something_is_refused(fact: dict[str, Any], found: str | None) -> None:
    """Every purpose requires it. The facts are made up, because no such build is available."""
    for purpose in Purpose:
        lines = [str(each) for each in sqlite_requirements.unmet(FACTS | fact, purpose)]
        assert [line.startswith(str(found)) for line in lines] == ([True] if found else [])


def test_foreign_keys_are_probed(tmp_path: Path) -> None:
    """A connection whose foreign keys stay off is like one of a build without them."""
    connection = sqlite3.connect(tmp_path / "x.db", isolation_level=None, timeout=0)
    connection.execute("PRAGMA journal_mode = WAL")
    (found,) = found_by(connection)
    assert "has no foreign keys" in found
    connection.close()


@contextmanager
def unprivileged_user() -> Iterator[None]:
    """Switch to an unprivileged user if this process runs as root, which may write every file."""
    is_root = os.geteuid() == 0
    if is_root:
        os.seteuid(NOBODY)
    try:
        yield
    finally:
        if is_root:
            os.seteuid(0)


@pytest.fixture
def folder() -> Iterator[Path]:
    """Yield a folder that every user can access, unlike pytest's own."""
    folder = Path(tempfile.mkdtemp(prefix="edb-"))
    folder.chmod(0o777)
    yield folder
    for path in (folder, *folder.rglob("*")):
        path.chmod(0o777)
    shutil.rmtree(folder)


@pytest.mark.parametrize("kept", ["file", "folder", "log"])
def test_file_that_may_not_be_written_is_refused(kept: str, folder: Path) -> None:
    """The file, the folder, or the WAL file beside it may be another user's."""
    file = folder / "app.db"
    settings = settings_of(file)
    assert call(folder, "migrate", "upgrade", settings=settings).exit_code == 0
    if kept == "log":
        keeper = sqlite3.connect(file)  # the WAL file and its index exist while it is open
        keeper.execute("SELECT count(*) FROM users").fetchall()
        logs = {path: path.read_bytes() for path in folder.iterdir() if path != file}
        keeper.close()
        for path, content in logs.items():
            path.write_bytes(content)
    for path in folder.iterdir():
        path.chmod(0o444 if kept == "log" and path != file else 0o666)
    if kept == "folder":
        folder.chmod(0o555)
    elif kept == "file":
        file.chmod(0o444)
    before = file.read_bytes()
    for command in (["check"], ["serve"]):
        port = ["--port", str(free_port())] if command == ["serve"] else []
        with unprivileged_user():
            done = call(folder, *command, *port, settings=settings)
        assert done.exit_code == 2, (command, done)
        lines = (done.out if command == ["check"] else done.err).splitlines()
        assert any("can't" in line and str(file) in line for line in lines), (command, done)
    assert file.read_bytes() == before
