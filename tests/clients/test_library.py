"""The clients that `make clients RESOURCES=…` makes for `examples/library`, with the code of its README."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from api.user_routers import routers_of
from backends.models.resources.loading import classes_of, load_declarations
from clients.generate import BIN, PYTHON, TSC, TYPESCRIPT, write_package
from tests.api.service import serve_declared
from tests.cli.command import ROOT, call
from tests.clients.conftest import serve_on_free_port
from tests.clients.readme import SERVER, blocks
from tests.conftest import ONE_BACKEND
from tests.provision import Provision

pytestmark = ONE_BACKEND  # The clients don't depend on the database.

LIBRARY = ROOT / "examples/library"
SUPERUSER: dict[str, Any] = {
    "first_superuser": "admin@example.com",
    "first_superuser_password": SecretStr("correct horse"),
}
PRINTED = {
    "python": "12.50 True\n['Frankenstein']\n200\n412\n",
    "typescript": "12.50 true\n[ 'Frankenstein' ]\n200\n412\n",
}


@pytest.fixture
def document(tmp_path: Path) -> Path:
    """Return the OpenAPI document of the library."""
    printed = call(tmp_path, "openapi", RESOURCES=str(LIBRARY / "library.py"))
    assert (printed.exit_code, printed.err) == (0, "")
    path = tmp_path / "openapi.json"
    path.write_text(printed.out)
    return path


@pytest.fixture
async def url(migrated: Provision) -> AsyncIterator[str]:
    """Return the URL of a server that serves the library on an empty database."""
    declarations = load_declarations([str(LIBRARY / "library.py")])
    served = serve_declared(
        migrated, classes_of(declarations), routers=routers_of(declarations), **SUPERUSER
    )
    async with served as service, serve_on_free_port(service.app) as url:
        yield url


async def run(*command: str | Path, folder: Path, **variables: str) -> str:
    """Run a command of the virtual environment and return its output. It must exit with 0."""
    program, *arguments = command
    process = await asyncio.create_subprocess_exec(
        *(BIN / program, *arguments),
        cwd=folder,
        env={**os.environ, "NO_PROXY": "127.0.0.1", **variables},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    out, _ = await process.communicate()
    assert process.returncode == 0, out.decode()
    return out.decode()


def example(language: str, url: str = SERVER) -> str:
    """Return the code of the README that calls a server, which is at this URL."""
    (code,) = (block for block in blocks(LIBRARY / "README.md", language) if SERVER in block)
    return code.replace(SERVER, url)


async def test_python_client_has_types_and_prints_what_the_readme_says(
    document: Path, url: str, tmp_path: Path
) -> None:
    """Filters with several values, decimals as text, ETags and idempotency keys."""
    package = await asyncio.to_thread(write_package, PYTHON / "eitherdb_client", document, tmp_path)
    (tmp_path / "example.py").write_text(example("python", url))

    options = ("--strict", "--follow-imports=silent", "--cache-dir", ROOT / ".mypy_cache/clients")
    checked = run("mypy", *options, "example.py", folder=tmp_path, MYPYPATH=str(package))
    printed = run("python", "example.py", folder=tmp_path, PYTHONPATH=str(package))

    assert await checked == "Success: no issues found in 1 source file\n"
    assert await printed == PRINTED["python"]


async def test_typescript_client_has_types_and_prints_what_the_readme_says(
    document: Path, url: str, tmp_path: Path
) -> None:
    """The same."""
    package = await asyncio.to_thread(write_package, TYPESCRIPT / "src", document, tmp_path)
    project = tmp_path / "project"
    (project / "node_modules").mkdir(parents=True)
    (project / "node_modules/eitherdb-client").symlink_to(package)
    (project / "package.json").write_text('{"type": "module"}')
    (project / "example.ts").write_text(example("typescript", url))

    options = ("--noEmit", "--strict", "--target", "es2022", "--module", "nodenext")
    checked = run("node", TSC, *options, "example.ts", folder=project)
    printed = run("node", "example.ts", folder=project)

    assert await checked == ""
    assert await printed == PRINTED["typescript"]
