"""Generated files are committed and current."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path

import pytest

from clients.generate import CLIENTS, DOCUMENT, PYTHON, ROOT, TYPESCRIPT
from tests.cli.command import call

REMEDY = "run `make clients` and commit what it writes"


def files(folder: Path) -> dict[str, str]:
    """Return the text of every file in a folder, without Python's caches."""
    return {
        str(path.relative_to(folder)): path.read_text()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and "__pycache__" not in path.parts
    }


def test_document_is_current(tmp_path: Path) -> None:
    """`eitherdb openapi` prints the committed document with any settings."""
    printed = call(tmp_path, "openapi", ENVIRONMENT="production", DB_BACKEND="none", SECRET_KEY="short")
    assert (printed.exit_code, printed.err) == (0, "")
    assert printed.out == DOCUMENT.read_text(), f"docs/openapi.json is not current: {REMEDY}"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("folder", CLIENTS, ids=lambda folder: folder.parent.name)
def test_client_is_current(folder: Path, tmp_path: Path) -> None:
    """A client that is generated in another folder has the same files."""
    again = tmp_path / folder.name
    CLIENTS[folder](DOCUMENT, again)
    committed, generated = files(folder), files(again)
    changed = sorted(name for name in committed | generated if committed.get(name) != generated.get(name))
    assert changed == [], f"{folder.relative_to(ROOT)} is not current: {REMEDY}"
    assert len(generated) > 10


def test_clients_have_the_version_of_the_project() -> None:
    """The clients have the version of the project."""
    project, client = (
        tomllib.loads((folder / "pyproject.toml").read_text())["project"]["version"]
        for folder in (ROOT, PYTHON)
    )
    package, lock = (
        json.loads((TYPESCRIPT / name).read_text())["version"]
        for name in ("package.json", "package-lock.json")
    )
    assert client == package == lock == project


def test_npm_lock_holds_for_every_registry() -> None:
    """Each package has a hash and no URL; npm uses the configured registry."""
    packages = json.loads((TYPESCRIPT / "package-lock.json").read_text())["packages"]
    installed = {name: package for name, package in packages.items() if name}
    assert len(installed) > 10
    for name, package in installed.items():
        assert package["integrity"].startswith("sha512-"), name
        assert "resolved" not in package, name
        assert "hasInstallScript" not in package, name
