"""Writes the file of a revision: the operations as Python that a person reads and reviews."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import MISSING, fields, is_dataclass
from pathlib import Path
from typing import Any

import eitherdb.migrations
from backends.models.resources import FieldSpec
from migrations.resources.field_operations import RenameField
from migrations.resources.history import History
from migrations.resources.operations import AddResource, DropResource, Operation

_TEMPLATE = '''"""{summary}."""

{imports}

HISTORY = "{history}"

OPERATIONS = {operations}
'''
_OWN = '''"""{summary}."""

from typing import Any

from eitherdb.migrations import Run

HISTORY = "{history}"


def on_sql(connection: Any) -> None:
    """Change rows on SQLite and PostgreSQL, in the transaction of the migration."""


async def on_mongo(database: Any) -> None:
    """Change documents on MongoDB. This runs again after an interruption."""


OPERATIONS = [Run(on_sql, on_mongo)]
'''
_LINE = 88
_MAX_SLUG = 60
_MAX_NAMED = 5
"""The number of operations in a summary."""
_IMPORTED = {*eitherdb.migrations.__all__}


def write_revision(history: History, message: str, operations: Sequence[Operation]) -> Path:
    """Write the next revision of a history and return its path.

    Without operations, it has one of its own, whose functions do nothing yet.
    """
    number = len(history.revisions) + 1
    slug = re.sub(r"\W+", "_", message.lower())[:_MAX_SLUG].strip("_") or "changes"
    text = _source(tuple(operations), 0)
    summary = " ".join(message.split()).rstrip(".").replace("\\", r"\\").replace('"""', r"\"\"\"") or slug
    names = sorted({each for each in re.findall(r"\b([A-Z]\w+)\(", text) if each in _IMPORTED})
    history.folder.mkdir(exist_ok=True)
    path = history.folder / f"{number:04}_{slug}.py"
    template = _TEMPLATE if operations else _OWN
    path.write_text(
        template.format(summary=summary, imports=_imports(names), history=history.name, operations=text),
        encoding="utf-8",
    )
    return path


def _imports(names: Sequence[str]) -> str:
    line = f"from eitherdb.migrations import {', '.join(names)}"
    if len(line) <= _LINE:
        return line
    return "from eitherdb.migrations import (\n" + "".join(f"    {name},\n" for name in names) + ")"


def summary_of(operations: Sequence[Operation]) -> str:
    """Return what the operations do, in a line: `Add books, add field books.shelf`."""
    texts = [_in_words(each) for each in operations]
    text = ", ".join(texts[:_MAX_NAMED])
    more = f" and {len(texts) - _MAX_NAMED} more" if texts[_MAX_NAMED:] else ""
    return text[:1].upper() + text[1:] + more


def _in_words(operation: Operation) -> str:
    if isinstance(operation, AddResource):
        return f"add {operation.spec.name}"
    if isinstance(operation, RenameField):
        return f"rename {operation.resource}.{operation.field} to {operation.to}"
    if isinstance(operation, DropResource):
        return f"drop {operation.resource}"
    verb = re.sub(r"(?<!^)(?=[A-Z])", " ", type(operation).__name__).lower()
    names = [str(getattr(operation, "resource", ""))]
    field = getattr(operation, "field", None) or " ".join(getattr(operation, "fields", ()))
    names += [field.name if isinstance(field, FieldSpec) else field] if field else []
    return f"{verb} {'.'.join(names)}".strip()


def _source(value: Any, depth: int) -> str:
    """Return an expression for a value, in the format of ruff and black."""
    if is_dataclass(value) and not isinstance(value, type):
        given = {each.name: getattr(value, each.name) for each in fields(value)}
        defaults = {each.name: each.default for each in fields(value)}
        parts = [
            # The only argument of an operation needs no name.
            (f"{name}=" if len(given) > 1 else "", each)
            for name, each in given.items()
            if defaults[name] is MISSING or each != defaults[name]
        ]
        return _call(type(value).__name__, parts, depth)
    if isinstance(value, tuple | list):
        opening, closing = "()" if isinstance(value, tuple) else "[]"
        return _enclosed(opening, [("", each) for each in value], closing, depth)
    return _text(value) if isinstance(value, str) else repr(value)


def _call(name: str, parts: Sequence[tuple[str, Any]], depth: int) -> str:
    return _enclosed(f"{name}(", parts, ")", depth)


def _enclosed(opening: str, parts: Sequence[tuple[str, Any]], closing: str, depth: int) -> str:
    flat = [f"{prefix}{_source(each, depth)}" for prefix, each in parts]
    comma = "," if opening == "(" and len(parts) == 1 else ""
    line = f"{opening}{', '.join(flat)}{comma}{closing}"
    if "\n" not in line and len(line) + 4 * depth <= _LINE:
        return line
    indent = "    " * (depth + 1)
    lines = [f"{indent}{prefix}{_source(each, depth + 1)},\n" for prefix, each in parts]
    return f"{opening}\n{''.join(lines)}{'    ' * depth}{closing}"


def _text(value: str) -> str:
    """Return a literal in double quotes where that needs no escape."""
    return repr(value) if '"' in value or "\\" in value or not value.isprintable() else f'"{value}"'
