"""Keeps a user's modules and EitherDB's apart where both have one of the same name."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from backends.models.resources.errors import DeclarationError

OWN_MODULES = ("api", "backends", "cli", "config", "migrations", "eitherdb_contract")
"""EitherDB's top-level modules, besides `eitherdb`, which users import."""

ROOT = Path(__file__).resolve().parents[3]
"""The folder in which EitherDB's modules are."""


def is_own(name: str) -> bool:
    """Return whether a top-level module is EitherDB's."""
    return name in OWN_MODULES or name == "eitherdb"


def shown_path(path: Path | str) -> str:
    """Return the path for a message: relative to the working directory if it is within."""
    with suppress(ValueError):
        return str(Path(path).relative_to(Path.cwd()))
    return str(path)


def check_imports(path: Path) -> None:
    """Refuse an import that means a module of the user, and finds EitherDB's of the same name.

    Args:
        path: The file or the package of the user. Only the source is read, so that nothing runs before.

    Raises:
        DeclarationError: Names the file, the line and the import.
    """
    # A package is beside the modules of its parent folder.
    top = path.parent
    for file in sorted(path.rglob("*.py")) if path.is_dir() else [path]:
        for line, name in _imported(file):
            beside = _beside(name, file.parent, top) if name in OWN_MODULES else None
            if beside is not None:
                folder = shown_path(beside.parent)
                raise DeclarationError(
                    f"{shown_path(file)}, line {line}",
                    f"`import {name}` finds EitherDB's {name}, not {shown_path(beside)}",
                    f"make the folder a package with __init__.py, give RESOURCES={folder} and write "
                    f"`from . import {name}`",
                )


def _beside(name: str, folder: Path, top: Path) -> Path | None:
    """Return the user's own module of this name: in the folder of the file, or above, up to `top`."""
    while folder.is_relative_to(top):
        for each in (folder / f"{name}.py", folder / name):
            if each.exists() and each.resolve() != ROOT / name:
                return each
        if folder == folder.parent:
            break
        folder = folder.parent
    return None


def _imported(file: Path) -> Iterator[tuple[int, str]]:
    """Yield the line and the top-level module of each absolute import of a file."""
    try:
        tree = ast.parse(file.read_bytes(), filename=str(file))
    except (SyntaxError, ValueError, OSError):
        return  # The import of the file reports it.
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield node.lineno, alias.name.partition(".")[0]
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            yield node.lineno, node.module.partition(".")[0]
