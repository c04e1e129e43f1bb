"""The examples of a README, as its reader would copy them."""

from __future__ import annotations

import re
from pathlib import Path

SERVER = "http://127.0.0.1:8000"
"""Where the examples expect a server: what `make run` serves on."""


def examples(readme: Path, language: str) -> list[str]:
    """Return the blocks of code in this language; each names the server."""
    found: list[str] = re.findall(
        rf"^```{language}\n(.*?)^```$", readme.read_text(), re.DOTALL | re.MULTILINE
    )
    assert all(SERVER in example for example in found)
    return found
