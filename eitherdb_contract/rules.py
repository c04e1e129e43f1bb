"""The rules for backends, in the words of `docs/semantics.md`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest

DOCUMENT = Path(__file__).with_name("semantics.md")


@dataclass(frozen=True, slots=True)
class Rule:
    """A row of the document's table, as Markdown."""

    name: str
    text: str


def all_rules() -> list[Rule]:
    """Return the rules in the document's order."""
    lines = DOCUMENT.read_text(encoding="utf-8").splitlines()
    rows = [line.strip("|").split(" | ") for line in lines if line.startswith("|")]
    return [Rule(row[0].strip(), row[1].strip()) for row in rows[2:]]


def rules_of(item: pytest.Item) -> list[str]:
    """Return the names of the rules that a test proves, by its own marks and its module's."""
    return sorted({name for mark in item.iter_markers("rule") for name in mark.args})
