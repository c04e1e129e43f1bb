"""What a planted fault is."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
DIFFERENTIAL = "tests/differential"


@dataclass(frozen=True, slots=True)
class Fault:
    """A mistake that somebody might make.

    Attributes:
        what: The mistake, in a few words that no other has.
        file: Where it is made.
        edits: Pieces of code, each of which stands there exactly once, and what they become.
        first: The test file that should catch it, which is run before all others.
        backends: Those that it is run on, as `--backends` takes them.
    """

    what: str
    file: str
    edits: tuple[tuple[str, str], ...]
    first: str
    backends: str

    def plant(self, root: Path) -> None:
        """Make the mistake in the project that is in this folder.

        Raises:
            ValueError: A piece of code does not stand in the file, or more than once.
        """
        path = root / self.file
        text = path.read_text(encoding="utf-8")
        for old, new in self.edits:
            if text.count(old) != 1:
                raise ValueError(f"{self.what}: {self.file} has {text.count(old)} times, not once: {old!r}")
            text = text.replace(old, new)
        path.write_text(text, encoding="utf-8")
