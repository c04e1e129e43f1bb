"""An unusable SQLite file: every command reports it in one line."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from tests.cli.command import call
from tests.cli.test_connection_errors import COMMANDS, refused


@pytest.mark.parametrize("command", COMMANDS)
def test_file_that_is_no_database_is_reported(command: str, tmp_path: Path) -> None:
    """The file is not changed."""
    file = tmp_path / "notes.txt"
    file.write_text("not a database, but long enough to be taken for one " * 50)
    before = file.read_bytes()
    line = refused(tmp_path, command, DATABASE_URL=f"sqlite:///{file}")
    assert f"can't use the sqlite database at sqlite:///{file}: the file is not an SQLite database" in line
    assert "(SQLITE_NOTADB: file is not a database); check the path in DATABASE_URL" in line
    assert file.read_bytes() == before


def test_folder_instead_of_a_file_is_reported(tmp_path: Path) -> None:
    """The line has SQLite's error code."""
    (tmp_path / "data").mkdir()
    line = refused(tmp_path, "check", DATABASE_URL=f"sqlite:///{tmp_path}/data")
    assert "the file can't be opened (SQLITE_CANTOPEN: unable to open database file)" in line


def test_missing_file_with_mode_rw_is_reported(tmp_path: Path) -> None:
    """No file is created."""
    line = refused(tmp_path, "migrate upgrade", DATABASE_URL=f"sqlite:///{tmp_path}/shop.db?mode=rw")
    assert (
        "the file can't be opened (SQLITE_CANTOPEN: unable to open database file); check the path" in line
    )
    assert list(tmp_path.iterdir()) == []


def test_damaged_database_is_reported(tmp_path: Path) -> None:
    """The line says to restore a backup."""
    url = f"sqlite:///{tmp_path}/shop.db"
    call(tmp_path, "migrate", "upgrade", DATABASE_URL=url)
    with closing(sqlite3.connect(tmp_path / "shop.db")) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    file = (tmp_path / "shop.db").open("r+b")
    with file:
        file.seek(100)
        file.write(b"\xff" * 3000)
    line = refused(tmp_path, "check", DATABASE_URL=url)
    assert (
        "the database is damaged (SQLITE_CORRUPT: database disk image is malformed); restore a backup"
        in line
    )


HOLD = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
connection.execute("PRAGMA locking_mode=EXCLUSIVE")
connection.execute("BEGIN EXCLUSIVE")
connection.execute("CREATE TABLE x (y)")
print("held", flush=True)
sys.stdin.read()
"""


def test_locked_database_is_reported(tmp_path: Path) -> None:
    """The line comes after DB_COMMAND_TIMEOUT_SECONDS and says to find the process."""
    file = tmp_path / "shop.db"
    with subprocess.Popen(  # noqa: S603 - this test's own words
        [sys.executable, "-c", HOLD, file], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as holder:
        assert holder.stdout is not None
        holder.stdout.readline()
        url = f"sqlite:///{file}"
        line = refused(tmp_path, "check", DATABASE_URL=url, DB_COMMAND_TIMEOUT_SECONDS="1")
        holder.communicate()
    assert (
        "another process holds the write lock (SQLITE_BUSY: database is locked); find the process" in line
    )
