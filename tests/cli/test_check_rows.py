"""`eitherdb check --rows`: output and exit codes."""

from __future__ import annotations

import json
import os
import pty
import subprocess
from pathlib import Path
from typing import Any

from backends.models import NewItem
from backends.protocols import Backend
from config import Settings
from migrations import open_migrator
from tests.backends.planted import HASH, PlantedFault, ValidRows, plant, writing
from tests.backends.raw import opened
from tests.cli.command import EITHERDB, Result, call_async, environment
from tests.conftest import ONE_BACKEND
from tests.provision import Provision

SECRET = f"{HASH[:-1]}!"
WRONG = [
    PlantedFault("users", "hashed_password", SECRET, "is no known hash"),
    PlantedFault("items", "version", 0, "should be greater than or equal to 1"),
    PlantedFault("accounts", "balance_minor", 7, "should be 10, the balance after its last entry"),
]


async def filled(backend: Backend, settings: Settings) -> list[str]:
    """Store valid rows and three faulty ones; return the ids of the faulty ones."""
    async with writing(settings) as writer:
        sound = ValidRows(backend)
        owner = await sound.user(100)
        await backend.items.add_many([NewItem(title=f"T {n}") for n in range(1000)], owner_id=owner.id)
        return [(await plant(sound, writer, each, n))[0] for n, each in enumerate(WRONG)]


def rows_finding(result: Result) -> dict[str, Any]:
    """Return the finding of the rows."""
    (finding,) = [each for each in json.loads(result.out)["findings"] if each["subject"] == "rows"]
    return dict(finding)


async def test_check_rows_names_faults_and_exits_1(migrated: Provision, tmp_path: Path) -> None:
    """JSON and text have shortened values and no secret; without faults the exit code is 0."""
    async with migrated.empty_database() as settings:
        await open_migrator(settings).upgrade()
        async with opened(migrated.open(settings)) as backend:
            sound = await call_async(tmp_path, "check", "--rows", "--json", settings=settings)
            assert (sound.exit_code, sound.err) == (0, "")
            assert rows_finding(sound) == {
                "subject": "rows",
                "status": "ok",
                "detail": "0 rows, all of which can be served",
                "remedy": None,
            }
            ids = await filled(backend, settings)

        report = await call_async(tmp_path, "check", "--rows", "--json", settings=settings)
        told = await call_async(tmp_path, "check", "--rows", settings=settings)
        without = await call_async(tmp_path, "check", "--json", settings=settings)

    assert (report.exit_code, report.err) == (told.exit_code, told.err) == (1, "")
    rows = json.loads(report.out)["rows"]
    assert (rows["rows"]["users"], rows["rows"]["items"], rows["rows"]["accounts"]) == (4, 1001, 1)
    assert {kind: count for kind, count in rows["faulty"].items() if count} == {
        "users": 1,
        "items": 1,
        "accounts": 1,
    }
    values = (None, "0", "7")
    assert rows["faults"] == [
        {"kind": each.kind, "id": id_, "field": each.name, "problem": each.problem, "value": value}
        for each, id_, value in zip(WRONG, ids, values, strict=True)
    ]
    assert rows_finding(report)["detail"] == "1,009 rows; faults: 1 in users, 1 in items, 1 in accounts"
    for each, id_, shown in zip(WRONG, ids, ("", " (0)", " (7)"), strict=True):
        assert f'{each.kind} {id_}: field "{each.name}" {each.problem}{shown}\n' in told.out
    assert HASH[:20] not in report.out + told.out
    assert "rows" not in json.loads(without.out)


@ONE_BACKEND
async def test_check_rows_names_the_first_faults_and_counts_all(
    migrated: Provision, tmp_path: Path
) -> None:
    """The output stays short, however many rows are faulty."""
    async with migrated.empty_database() as settings:
        await open_migrator(settings).upgrade()
        async with opened(migrated.open(settings)) as backend, writing(settings) as writer:
            sound = ValidRows(backend)
            for n in range(25):
                await plant(sound, writer, WRONG[1], n)
        told = await call_async(tmp_path, "check", "--rows", settings=settings)
    assert told.exit_code == 1
    assert sum(line.startswith("items ") for line in told.out.splitlines()) == 20
    assert told.out.endswith("items: 5 more\n")


@ONE_BACKEND
async def test_check_rows_of_an_empty_database_reads_none(migrated: Provision, tmp_path: Path) -> None:
    """Rows are checked only if the schema is right."""
    async with migrated.empty_database() as settings:
        report = await call_async(tmp_path, "check", "--rows", "--json", settings=settings)
    assert report.exit_code == 1
    assert rows_finding(report)["detail"].startswith("not checked")


@ONE_BACKEND
async def test_check_rows_shows_progress_on_a_terminal_only(migrated: Provision, tmp_path: Path) -> None:
    """Progress is on standard error, so that the report can be piped."""
    async with migrated.empty_database() as settings:
        await open_migrator(settings).upgrade()
        async with opened(migrated.open(settings)) as backend:
            await filled(backend, settings)
        ours, theirs = pty.openpty()
        done = subprocess.run(  # noqa: ASYNC221, S603 - nothing else runs here; the installed command
            [EITHERDB, "check", "--rows", "--json"],
            cwd=tmp_path,
            env=environment(tmp_path, settings, TERM="xterm"),
            stdout=subprocess.PIPE,
            stderr=theirs,
            timeout=60,
            check=False,
        )
        os.close(theirs)
        shown = os.read(ours, 2**16).decode()
        os.close(ours)
    assert done.returncode == 1
    assert json.loads(done.stdout)["ok"] is False
    assert "rows/s" in shown
    assert "items" in shown
