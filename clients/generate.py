"""Writes both clients from `docs/openapi.json`: what `make clients` runs, and the tests against drift.

Nothing here knows the API: it is all in the document and in each generator's own configuration.
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

Generator = Callable[[Path], None]


def generate_typescript(folder: Path) -> None:
    """Write the TypeScript client's source into a folder that does not exist yet."""
    script = TYPESCRIPT / "node_modules/@hey-api/openapi-ts/bin/run.js"
    _run(BIN / "node", script, "--output", folder, "--no-log-file", "--silent", cwd=TYPESCRIPT)


def generate_python(folder: Path) -> None:
    """Write the Python client's package into a folder that does not exist yet."""
    _run(
        PYTHON_GENERATOR_BIN / "openapi-python-client",
        *("generate", "--path", DOCUMENT, "--config", "generator.yml"),
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


def main() -> None:
    """Replace each client as a whole, and none unless all could be made."""
    with tempfile.TemporaryDirectory(prefix="eitherdb-clients-") as scratch:
        made = [Path(scratch) / folder.name for folder in CLIENTS]
        for generate, new in zip(CLIENTS.values(), made, strict=True):
            generate(new)
        for folder, new in zip(CLIENTS, made, strict=True):
            shutil.rmtree(folder, ignore_errors=True)
            shutil.copytree(new, folder)


if __name__ == "__main__":
    main()
