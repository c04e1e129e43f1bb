"""The TypeScript client, compiled, against a real server on every database."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

from backends.models import NewAccount
from clients.generate import BIN, TSC
from tests.api.service import serve
from tests.clients.conftest import serve_on_free_port
from tests.clients.readme import SERVER
from tests.clients.scenario import EMAIL, EXPECTED, PASSWORD
from tests.provision import Provision


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
    assert (
        await node(TSC, *options, "scenario.ts", "money.ts", "readme.ts", folder=typescript_project) == ""
    )


async def test_calls_give_the_expected_results(url: str, typescript_project: Path) -> None:
    """Node runs the scenario against the server with the expected results."""
    printed = await node("scenario.ts", url, EMAIL, PASSWORD, folder=typescript_project)
    assert json.loads(printed) == EXPECTED


async def test_largest_amount_survives_javascript(migrated: Provision, typescript_project: Path) -> None:
    """2^53 - 1 arrives as it was sent, both ways; what JavaScript would alter is refused."""
    await migrated.clean()
    async with serve(migrated) as service, serve_on_free_port(service.app) as url:
        root = await service.superuser()
        new = NewAccount(name="Giro", currency="EUR")
        account = await service.backend.accounts.add(new, owner_id=root.id)
        printed = await node("money.ts", url, root.token, account.id, folder=typescript_project)
    assert json.loads(printed) == {"beyond": 422, "one_more": 422, "is_exact": [True] * 4}


async def test_readme_examples_print_what_it_says(url: str, typescript_project: Path) -> None:
    """The example prints what the README says."""
    code = (typescript_project / "readme.ts").read_text()
    served = typescript_project / "served.ts"
    served.write_text(code.replace(SERVER, url))
    assert await node(served, folder=typescript_project) == "1 Analytical Engine\nnot_found\n"
