"""The TypeScript client, compiled, against a real server on every database."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

from clients.generate import BIN, TYPESCRIPT
from tests.clients.readme import SERVER
from tests.clients.scenario import EMAIL, EXPECTED, PASSWORD

TSC = TYPESCRIPT / "node_modules/typescript/bin/tsc"


async def node(*arguments: str | Path, folder: Path) -> str:
    """Run Node and return its output. It must exit with 0 and print no error."""
    process = await asyncio.create_subprocess_exec(
        *(BIN / "node", *arguments),
        cwd=folder,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await process.communicate()
    assert (process.returncode, err.decode()) == (0, ""), out.decode()
    return out.decode()


async def test_types_fit_their_use(typescript_project: Path) -> None:
    """The compiler in its strictest mode accepts the scenario and the README's example."""
    options = ("--noEmit", "--strict", "--target", "es2022", "--module", "nodenext")
    assert await node(TSC, *options, "scenario.ts", "readme.ts", folder=typescript_project) == ""


async def test_calls_give_the_expected_results(url: str, typescript_project: Path) -> None:
    """Node runs the scenario against the server with the expected results."""
    printed = await node("scenario.ts", url, EMAIL, PASSWORD, folder=typescript_project)
    assert json.loads(printed) == EXPECTED


async def test_readme_examples_print_what_it_says(url: str, typescript_project: Path) -> None:
    """The example prints what the README says."""
    code = (typescript_project / "readme.ts").read_text()
    served = typescript_project / "served.ts"
    served.write_text(code.replace(SERVER, url))
    assert await node(served, folder=typescript_project) == "1 Analytical Engine\nnot_found\n"
