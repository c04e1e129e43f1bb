"""`eitherdb shell`: code from a pipe or an option, on every database, and the prompt of a terminal."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from config import Settings
from tests.cli.command import EITHERDB, call_async, eitherdb, environment
from tests.cli.test_library_example import copy_library
from tests.conftest import ONE_BACKEND
from tests.provision import Provision

ADD = 'print(db.users.add(NewUser(email="a@example.com", hashed_password="x")).email)'
ON_TERMINAL = """
import os, pty, sys
sys.exit(os.waitstatus_to_exitcode(pty.spawn(sys.argv[1:])))
"""


async def test_shell_reads_and_writes_only_if_asked_to(migrated: Provision, tmp_path: Path) -> None:
    """The database, the settings, declared classes and models are there, on every database."""
    folder = copy_library(tmp_path)
    async with migrated.empty_database() as settings:
        await call_async(folder, "migrate", "upgrade", settings=settings, RESOURCES="library.py")
        refused = await call_async(folder, "shell", "-c", ADD, settings=settings, RESOURCES="library.py")
        assert refused.refusal() == (
            "db.users.add(…) writes, and the database is open read-only: use `eitherdb shell --write`, or "
            "eitherdb.open_blocking() without read_only"
        )
        written = await call_async(
            folder, "shell", "--write", "-c", ADD, settings=settings, RESOURCES="library.py"
        )
        assert (written.exit_code, written.out, written.err) == (0, "a@example.com\n", "")
        lines = [
            "print(db.users.list().count, db.repository(Book).list().count, Item.__name__)",
            "print(settings.db_backend, eitherdb.errors.NotFound.__name__, 'sql' in dir(), __name__)",
        ]
        piped = await eitherdb(
            folder, "shell", stdin="\n".join(lines), settings=settings, RESOURCES="library.py"
        )
        has_sql = settings.db_backend != "mongo"
        shown = f"1 0 Item\n{settings.db_backend} NotFound {has_sql} __main__\n"
        assert (piped.exit_code, piped.out, piped.err) == (0, shown, "")
        if has_sql:
            await assert_reports(folder, settings)


async def assert_reports(folder: Path, settings: Settings) -> None:
    """Assert that `sql` has sessions and mapped classes, and that the database refuses a write."""
    code = """
with sql.session() as session:
    print(session.scalars(sql.select(sql.User.email)).all(), sql.Book.__name__, "Book" in dir(sql))
    session.add(sql.User())
    session.flush()
"""
    # A process maps one set of declarations, and other tests have mapped theirs in this one.
    done = await eitherdb(folder, "shell", "-c", code, settings=settings, RESOURCES="library.py")
    assert (done.exit_code, done.out) == (2, "['a@example.com'] Book True\n")
    assert done.err == "eitherdb: sessions of eitherdb.sql only read: use db.users.add(…)\n"


@ONE_BACKEND
@pytest.mark.parametrize(
    ("code", "exit_code", "error"),
    [
        ("1 / 0", 1, '  File "<command>", line 1, in <module>\nZeroDivisionError: division by zero\n'),
        ("x y", 1, "SyntaxError: invalid syntax\n"),
        ("db.users.get('x')", 2, "eitherdb: no user has the id 'x'\n"),
        ("exit(5)", 5, ""),
        ("raise KeyboardInterrupt", 130, ""),
    ],
    ids=lambda value: str(value)[:9],
)
async def test_code_that_fails_ends_the_shell(
    code: str, exit_code: int, error: str, migrated: Provision, tmp_path: Path
) -> None:
    """An error of the database is one line. Another has its traceback, without frames of the shell."""
    done = await call_async(tmp_path, "shell", "-c", code, settings=migrated.settings)
    assert (done.exit_code, done.out) == (exit_code, "")
    assert done.err.endswith(error)
    assert "shell.py" not in done.err


@ONE_BACKEND
async def test_prompt_completes_goes_on_after_errors_and_keeps_its_history(
    migrated: Provision, tmp_path: Path
) -> None:
    """Ctrl-C interrupts what runs, Ctrl-D leaves; the banner has three lines."""
    process = subprocess.Popen(  # noqa: ASYNC220, S603 - this test's own words
        [sys.executable, "-c", ON_TERMINAL, EITHERDB, "shell"],
        cwd=tmp_path,
        env=environment(tmp_path, migrated.settings, TERM="dumb", PYTHONWARNINGS="ignore"),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert process.stdin
    assert process.stdout

    def send(text: str, expected: str) -> str:
        """Type, and return what is shown until the expected text."""
        assert process.stdin
        assert process.stdout
        process.stdin.write(text.encode())
        process.stdin.flush()
        shown = b""
        while not shown.endswith(expected.encode()):
            read = os.read(process.stdout.fileno(), 1)
            assert read, shown.decode()
            shown += read
        return shown.decode().replace("\r\n", "\n")

    try:
        database, names, leaving = send("", "\n>>> ").splitlines()[:3]
        assert re.fullmatch(r"EitherDB \S+: \w+ at .+, read-only \(--write allows changes\)", database)
        assert names.startswith("Names: db, settings, ")
        assert leaving == "Ctrl-D leaves, Ctrl-C interrupts a call, Tab completes"
        assert "\n0\n" in send("db.use\t.list(limit=0).count * 0\n", "\n>>> ")
        refused = send("db.users.delete('x')\n", "\n>>> ")
        assert refused.splitlines()[1].startswith("ReadOnlyDatabase: db.users.delete(…) writes")
        assert len(refused.splitlines()) == 3
        assert "ZeroDivisionError" in send("1 / 0\n", "\n>>> ")
        send("import time; print('sleeps'); time.sleep(60)\n", "\r\nsleeps\r\n")
        assert "KeyboardInterrupt\n" in send("\x03", "\n>>> ")
        process.stdin.write(b"\x04")
        process.stdin.flush()
        assert process.wait(20) == 0
    finally:
        process.kill()
        process.communicate()
    history = tmp_path / ".eitherdb_history"
    assert history.read_text().splitlines()[:2] == [
        "db.users.list(limit=0).count * 0",
        "db.users.delete('x')",
    ]
    assert history.stat().st_mode & 0o777 == 0o600
