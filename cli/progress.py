"""The progress bar of commands that read or store many rows: on standard error, on a terminal only."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import typer


@dataclass(slots=True)
class Progress:
    """Updates the progress bar, with the phase and the rate."""

    bar: Any
    rows: int = 0
    began: float = field(default_factory=time.monotonic)

    def __call__(self, phase: str, rows: int, *, steps: int | None = None) -> None:
        """Add rows.

        Args:
            phase: What is done with them.
            rows: Their number.
            steps: The part of the bar's length that they are. Default: `rows`.
        """
        self.rows += rows
        rate = self.rows / max(time.monotonic() - self.began, 0.001)
        self.bar.label = f"{phase:<16} {rate:>9,.0f} rows/s"
        self.bar.update(rows if steps is None else steps)


@contextmanager
def progress(length: int) -> Iterator[Progress]:
    """Show a progress bar of this length, if standard error is a terminal."""
    is_terminal = sys.stderr.isatty()
    with typer.progressbar(length=max(length, 1), file=sys.stderr, hidden=not is_terminal) as bar:
        yield Progress(bar)
