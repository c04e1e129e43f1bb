"""docs/database-url.md lists the options that the tables have, and no others."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from backends.mongo import url as mongo_url
from backends.sql import postgres_options, sqlite_url
from backends.url_options import Table

DOCUMENT = Path(__file__).parents[2] / "docs/database-url.md"


@pytest.mark.parametrize(
    ("chapter", "table"),
    [
        ("PostgreSQL", postgres_options.OPTIONS),
        ("SQLite", sqlite_url.OPTIONS),
        ("MongoDB", mongo_url.OPTIONS),
    ],
)
def test_chapter_lists_every_option(chapter: str, table: Table) -> None:
    """In the first column, some with a value."""
    text = DOCUMENT.read_text(encoding="utf-8").partition(f"## {chapter}\n")[2].partition("\n## ")[0]
    cells = [line.split("|")[1] for line in text.splitlines() if line.startswith("| `")]
    named = [name for cell in cells for name in re.findall(r"`(\w+)", cell)]
    assert sorted(named) == sorted(table)
