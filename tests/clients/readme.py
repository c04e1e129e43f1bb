"""The code examples of a README."""

from __future__ import annotations

import re
from pathlib import Path

SERVER = "http://127.0.0.1:8000"
"""The server's URL in the examples, where `make run` serves."""


def blocks(readme: Path, language: str) -> list[str]:
    """Return the code blocks in this language."""
    return re.findall(rf"^```{language}\n(.*?)^```$", readme.read_text(), re.DOTALL | re.MULTILINE)


def examples(readme: Path, language: str) -> list[str]:
    """Return the code blocks in this language. Each one contains the server's URL."""
    found = blocks(readme, language)
    assert all(SERVER in example for example in found)
    return found
