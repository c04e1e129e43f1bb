"""The columns of a file: their names, and the values of CSV cells."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any

from backends.rows import shown
from cli.seeding.json_arrays import RowDecoder

if TYPE_CHECKING:
    from cli.seeding.targets import Target

_INTEGER = re.compile(r"-?[0-9]{1,400}")
_NUMBER = re.compile(r"-?[0-9]{1,400}(\.[0-9]+)?([eE][+-]?[0-9]+)?")


def unknown_columns(target: Target, names: Sequence[str]) -> list[str]:
    """Return the reasons why a file may not have these columns.

    A request ignores fields that it does not know. In a file the values would be lost without a word.
    """
    problems = []
    for name in names:
        if name in target.columns:
            continue
        if name in target.served:
            problems.append(f"{name}: is set by the service; leave it out")
            continue
        near = get_close_matches(name, target.columns, n=1)
        hint = f"did you mean {near[0]}?" if near else f"the fields are {', '.join(target.columns)}"
        if len(names) == 1 and re.search(r"[;\t]", name):
            hint = "separate the columns by commas"
        problems.append(f"{shown(name)}: is no field of {target.many}; {hint}")
    return problems


def from_cells(target: Target, cells: dict[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """Return the values of a CSV row in JSON types, and the reasons why cells have none."""
    values, problems = {}, []
    for name, text in cells.items():
        match target.columns[name]:
            case "boolean":
                values[name] = {"true": True, "false": False}.get(text.lower(), text)
            case "integer":
                values[name] = int(text) if _INTEGER.fullmatch(text) else text
            case "float":
                values[name] = float(text) if _NUMBER.fullmatch(text) else text
            case "list" | "json":
                decoder = RowDecoder()
                try:
                    values[name] = decoder.decode(text)
                except (json.JSONDecodeError, RecursionError):
                    problems.append(f'{name}: should be JSON, such as ["a", "b"]')
                problems += [f"{name}: {each}" for each in decoder.problems]
            case _:
                values[name] = text
    return values, problems
