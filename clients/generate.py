"""Writes both clients from an OpenAPI document: `make clients`, and the tests against drift.

Without arguments it writes the committed clients of `docs/openapi.json`. With a document and a folder it
writes the same packages for that document into that folder. Nothing here knows the API: it is all in the
document and in each generator's own configuration.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).parents[1]
DOCUMENT = ROOT / "docs/openapi.json"
TYPESCRIPT = ROOT / "clients/typescript"
PYTHON = ROOT / "clients/python"
BIN = Path(sys.executable).parent
PYTHON_GENERATOR_BIN = BIN.parent / "clients/bin"

TSC = TYPESCRIPT / "node_modules/typescript/bin/tsc"

Generator = Callable[[Path, Path], None]


def generate_typescript(document: Path, folder: Path) -> None:
    """Write the TypeScript client's source into a folder that does not exist yet."""
    script = TYPESCRIPT / "node_modules/@hey-api/openapi-ts/bin/run.js"
    options = ("--input", document, "--output", folder, "--no-log-file", "--silent")
    _run(BIN / "node", script, *options, cwd=TYPESCRIPT)


def generate_python(document: Path, folder: Path) -> None:
    """Write the Python client's package into a folder that does not exist yet."""
    _run(
        PYTHON_GENERATOR_BIN / "openapi-python-client",
        *("generate", "--path", document, "--config", "generator.yml"),
        *("--meta", "none", "--output-path", folder),
        cwd=PYTHON,
    )
    (folder / "py.typed").touch()


CLIENTS: dict[Path, Generator] = {
    TYPESCRIPT / "src": generate_typescript,
    PYTHON / "eitherdb_client": generate_python,
}
"""What generates each folder that is committed."""


def _run(*command: str | Path, cwd: Path) -> None:
    """Run a generator, with the formatter of its own lock file; what it warns of is shown as it is.

    Raises:
        subprocess.CalledProcessError: It failed.
    """
    path = f"{PYTHON_GENERATOR_BIN}{os.pathsep}{os.environ['PATH']}"
    subprocess.run(command, cwd=cwd, env={**os.environ, "PATH": path}, check=True)  # noqa: S603 - from above


def replace_clients() -> None:
    """Replace each committed client as a whole, and none unless all could be made."""
    with tempfile.TemporaryDirectory(prefix="eitherdb-clients-") as scratch:
        made = [Path(scratch) / folder.name for folder in CLIENTS]
        for generate, new in zip(CLIENTS.values(), made, strict=True):
            generate(DOCUMENT, new)
        for folder, new in zip(CLIENTS, made, strict=True):
            shutil.rmtree(folder, ignore_errors=True)
            shutil.copytree(new, folder)


def write_package(client: Path, document: Path, into: Path) -> Path:
    """Write the package of a committed client with the client of another document; return its folder."""
    package = into / client.parent.name
    shutil.rmtree(package, ignore_errors=True)
    shutil.copytree(
        client.parent, package, ignore=shutil.ignore_patterns(client.name, "node_modules", "dist")
    )
    CLIENTS[client](document, package / client.name)
    if client.parent == TYPESCRIPT:
        _run(BIN / "node", TSC, "--project", package, cwd=package)
    return package


if __name__ == "__main__":
    if sys.argv[1:]:
        document, into = (Path(argument).resolve() for argument in sys.argv[1:])
        for client in CLIENTS:
            print(f"Wrote {write_package(client, document, into)}")  # noqa: T201 - the output
    else:
        replace_clients()
