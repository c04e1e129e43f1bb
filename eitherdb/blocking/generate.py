"""`make blocking`: writes the blocking repositories from the protocols of the asynchronous ones.

Each method has the signature, the types and the contract of the asynchronous method. It calls that method
in the event loop and waits for its result. A method that is not in `READS` counts as one that writes.
"""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path
from textwrap import indent

ROOT = Path(__file__).parents[2]
PROTOCOLS = ROOT / "backends" / "protocols"
MODULES = ("accounts", "counters", "resources", "users")
"""The modules of `backends.protocols` that have a repository."""

READS = frozenset({"find_by", "find_by_email", "get", "get_transfer", "list", "statement", "transfers"})
"""The methods that write nothing, which a read-only database allows. A test knows the commands of each."""

_HEADER = '''"""The blocking form of `backends.protocols.{module}`.

Written by `make blocking`. Change that module, and write this one again.
"""

'''
_ASYNCHRONOUS = re.compile(r"\b(Async\w+|Awaitable|Coroutine)\b")
_STATEMENT = "Statement"
"""The one result that has an asynchronous iterator: `eitherdb.blocking.statement` has the blocking form."""


def blocking_source(module: str) -> str:
    """Return the source of a blocking repository, formatted.

    Args:
        module: The module of the protocol.

    Raises:
        NotImplementedError: A method takes or returns something asynchronous.
    """
    source = (PROTOCOLS / f"{module}.py").read_text(encoding="utf-8")
    tree = ast.parse(source)
    found = [node for node in tree.body if isinstance(node, ast.ClassDef) and _is_protocol(node)]
    imports = [_text(source, node) for node in tree.body if isinstance(node, ast.ImportFrom)]
    defined = [name for node in tree.body if node not in found for name in _defined(node)]
    lines = [
        _HEADER.format(module=module),
        *(re.sub(rf"\b{_STATEMENT},", "", each) for each in imports),
        "from typing import Generic",
        "from backends import protocols",
        *(f"from backends.protocols.{module} import {name}" for name in defined),
        "from eitherdb.blocking.opened import Blocking",
        f"from eitherdb.blocking.statement import {_STATEMENT}",
        *(_class(source, node) for node in found),
    ]
    return _formatted("\n".join(lines))


def _is_protocol(node: ast.ClassDef) -> bool:
    return any(ast.unparse(base).startswith("Protocol") for base in node.bases)


def _defined(node: ast.stmt) -> list[str]:
    """Return the names that a statement of a module defines."""
    if isinstance(node, ast.ClassDef):
        return [node.name]
    targets = node.targets if isinstance(node, ast.Assign) else []
    targets = [node.target] if isinstance(node, ast.AnnAssign) else targets
    return [ast.unparse(target) for target in targets]


def _class(source: str, node: ast.ClassDef) -> str:
    """Return a blocking repository."""
    parameter = ast.unparse(node.bases[0]).removeprefix("Protocol")
    generic = f", Generic{parameter}" if parameter else ""
    lines = [f"\n\nclass {node.name}(Blocking[protocols.{node.name}{parameter}]{generic}):"]
    for each in node.body:
        if isinstance(each, (ast.FunctionDef, ast.AsyncFunctionDef)):
            lines.append(indent(_method(source, each), "    ", lambda line: line.startswith(("def", "@"))))
        else:
            lines.append(f"    {_text(source, each)}")
    return "\n".join(lines)


def _method(source: str, node: ast.FunctionDef | ast.AsyncFunctionDef) -> str:
    """Return a blocking method; its lines but the first are indented as in the source."""
    returned = ast.unparse(node.returns) if node.returns else ""
    taken = ast.unparse(node.args)
    if found := _ASYNCHRONOUS.search(f"{taken} {returned}"):
        raise NotImplementedError(f"{node.name}: say here what {found[0]} is without an event loop")
    decorators = "".join(f"@{ast.unparse(each)}\n    " for each in node.decorator_list)
    head = _text(source, node).removesuffix("...").rstrip().removeprefix("async ")
    if isinstance(node, ast.FunctionDef):
        return f"{decorators}{head}\n        return self._part.{node.name}\n"
    made = f"lambda part: part.{node.name}({_forwarded(node.args)})"
    call = f"self._call({made})" if node.name in READS else f'self._write("{node.name}", {made})'
    if returned == _STATEMENT:
        result = f"{_STATEMENT}(account=found.account, entries=self._iterate(found.entries))"
        return f"{decorators}{head}\n        found = {call}\n        return {result}\n"
    return f"{decorators}{head}\n        return {call}\n"


def _forwarded(arguments: ast.arguments) -> str:
    """Return the arguments with which a method calls one that has the same parameters."""
    given = [each.arg for each in (*arguments.posonlyargs, *arguments.args)][1:]
    given += [f"*{arguments.vararg.arg}"] if arguments.vararg else []
    given += [f"{each.arg}={each.arg}" for each in arguments.kwonlyargs]
    given += [f"**{arguments.kwarg.arg}"] if arguments.kwarg else []
    return ", ".join(given)


def _text(source: str, node: ast.stmt) -> str:
    return ast.get_source_segment(source, node) or ""


def _formatted(source: str) -> str:
    """Return the source without unused imports, and as `make check` requires."""
    for arguments in (["check", "--fix-only", "--select=F401,I001", "--quiet"], ["format", "--quiet"]):
        command = [sys.executable, "-m", "ruff", *arguments, "--stdin-filename=eitherdb/blocking/x.py", "-"]
        source = subprocess.run(  # noqa: S603 - the linter of this project
            command, input=source, capture_output=True, text=True, check=True, cwd=ROOT
        ).stdout
    return source


if __name__ == "__main__":
    for name in MODULES:
        (Path(__file__).parent / f"{name}.py").write_text(blocking_source(name), encoding="utf-8")
