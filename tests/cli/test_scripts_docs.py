"""The programs of `docs/scripts.md`, on every database: they print what the document shows."""

from __future__ import annotations

import asyncio
import json
import re
import sys
from pathlib import Path

from tests.cli.command import ROOT, TIMEOUT_SECONDS, Result, call_async, eitherdb, environment
from tests.cli.test_library_example import copy_library
from tests.clients.readme import blocks
from tests.provision import Provision

DOCUMENT = ROOT / "docs/scripts.md"
PROGRAMS = {
    found[1]: block for block in blocks(DOCUMENT, "python") if (found := re.match(r"# (\w+\.py)", block))
}
SQL_ONLY = {"report.py"}

# One interpreter for all programs, which spends their imports once.
RUN = """
import runpy, sys
for name in sys.argv[1:]:
    print(f"$ python {name}", flush=True)
    runpy.run_path(name, run_name="__main__")
"""
REQUEST = """
import asyncio, sys
import httpx2
from shop import app

async def run():
    async with app.router.lifespan_context(app) as state:
        async def serve(scope, receive, send):
            await app({**scope, "state": dict(state)}, receive, send)
        transport = httpx2.ASGITransport(app=serve)
        async with httpx2.AsyncClient(transport=transport, base_url="http://shop") as client:
            for id in sys.argv[1:]:
                print((await client.get(f"/prices/{id}")).text)

asyncio.run(run())
"""


def shown_by(command: str) -> str:
    """Return what the document shows as the output of a command, with the command."""
    console = "".join(blocks(DOCUMENT, "console")) + "$ "
    found = re.search(rf"^\$ {re.escape(command)}\n.*?(?=^\$ )", console, re.DOTALL | re.MULTILINE)
    assert found, command
    return found[0]


async def test_programs_print_what_the_document_shows(migrated: Provision, tmp_path: Path) -> None:
    """A script, a pool of processes, a report and an app, on the rows that the document stores."""
    folder = copy_library(tmp_path)
    for name, text in PROGRAMS.items():
        (folder / name).write_text(text)
    async with migrated.empty_database() as settings:
        variables = environment(folder, settings, RESOURCES="library.py", PYTHONWARNINGS="error")
        variables["PYTHONPATH"] = str(ROOT)

        async def run(code: str, *arguments: str) -> str:
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-c", code, *arguments),
                cwd=folder,
                env=variables,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
            )
            out, err = await asyncio.wait_for(process.communicate(), TIMEOUT_SECONDS)
            assert (process.returncode, err.decode()) == (0, "")
            return out.decode()

        async def command(*arguments: str, stdin: str = "") -> Result:
            start = eitherdb if stdin else call_async  # which has the standard input of this process
            return await start(folder, *arguments, settings=settings, stdin=stdin, RESOURCES="library.py")

        await command("migrate", "upgrade")
        stored = await command("shell", "--write", stdin=PROGRAMS["books.py"])
        assert (stored.exit_code, stored.err) == (0, "")
        names = [
            name
            for name in PROGRAMS
            if f"$ python {name}\n" in DOCUMENT.read_text()
            and (name not in SQL_ONLY or settings.db_backend != "mongo")
        ]
        assert len(names) >= 2
        assert await run(RUN, *names) == "".join(shown_by(f"python {name}") for name in names)
        found, missing = (await run(REQUEST, stored.out.split()[0], "x")).splitlines()
        assert json.loads(found) == {"title": "Frankenstein", "price": "11.25"}
        assert found in DOCUMENT.read_text()
        assert missing in DOCUMENT.read_text()


async def test_every_program_is_run_or_shown(tmp_path: Path) -> None:
    """The task is the one program that no test runs: Celery is not installed here."""
    assert set(PROGRAMS) == {"books.py", "discount.py", "tagging.py", "tasks.py", "report.py", "shop.py"}
    assert len(PROGRAMS) == len(blocks(DOCUMENT, "python"))
    for name, text in PROGRAMS.items():
        compile(text, tmp_path / name, "exec")
