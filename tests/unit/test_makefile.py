"""`make run`: what it installs for which settings. make only prints here what it would do."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SERVERS = "Installing requirements/servers.txt"


def would_run(folder: Path, *arguments: str, **variables: str) -> str:
    """Return what `make run` would do in a checkout in which `make install` is done."""
    shutil.copy(ROOT / "Makefile", folder)
    (folder / "requirements").mkdir()
    for name in ("pyproject.toml", "requirements/runtime.txt", "requirements/servers.txt"):
        shutil.copy(ROOT / name, folder / name)
    stamps = folder / ".venv/.stamps"
    stamps.mkdir(parents=True)
    (stamps / "runtime").touch()
    python = folder / ".venv/bin/python"
    python.parent.mkdir()
    python.write_text(f'#!/bin/sh\nexec "{sys.executable}" "$@"\n')
    python.chmod(0o755)
    done = subprocess.run(  # noqa: S603 - this test's own words
        ["make", "--dry-run", "run", *arguments],  # noqa: S607 - whichever make there is
        cwd=folder,
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), **variables},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert ".venv/bin/eitherdb dev" in done.stdout
    return done.stdout


@pytest.mark.parametrize(
    ("dotenv", "arguments"),
    [
        ("DB_BACKEND=mongo\n", []),
        ('export DB_BACKEND="postgres"\nDATABASE_URL=\n', []),
        ("", ["DB_BACKEND=mongo"]),
        ("DATABASE_URL=\n", ["DB_BACKEND=postgres"]),
    ],
)
def test_run_installs_servers_where_one_will_be_started(
    dotenv: str, arguments: list[str], tmp_path: Path
) -> None:
    """Wherever the settings stand: `.env` is read as the service reads it."""
    (tmp_path / ".env").write_text(dotenv)
    assert SERVERS in would_run(tmp_path, *arguments)


@pytest.mark.parametrize(
    ("dotenv", "arguments"),
    [
        ("", []),
        ("#DB_BACKEND=mongo\n", []),
        ("DB_BACKEND=mongo\nDATABASE_URL=mongodb://db.example.com/\n", []),
        ("DB_BACKEND=mongo\n", ["DB_BACKEND=sqlite"]),
        ("DB_BACKEND=oracle\n", []),
    ],
)
def test_run_installs_no_servers_where_none_is_needed(
    dotenv: str, arguments: list[str], tmp_path: Path
) -> None:
    """A fault in the settings is for `eitherdb dev` to tell."""
    (tmp_path / ".env").write_text(dotenv)
    assert SERVERS not in would_run(tmp_path, *arguments)


@pytest.mark.parametrize(
    ("arguments", "options"),
    [
        ([], []),
        (["PORT=8001"], ["--port", "8001"]),
        (["PORT=8001", "HOST=0.0.0.0"], ["--port", "8001", "--host", "0.0.0.0"]),  # noqa: S104 - as given
    ],
)
def test_run_takes_port_and_host(arguments: list[str], options: list[str], tmp_path: Path) -> None:
    """They are passed on; a HOST that the shell exported is the machine's name and none of it."""
    last = would_run(tmp_path, *arguments, HOST="machine").splitlines()[-1]
    assert last.split() == [".venv/bin/eitherdb", "dev", *options]
