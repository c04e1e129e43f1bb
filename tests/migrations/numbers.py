"""The numbers of the revisions; tests use them, so that a new revision breaks no test."""

from __future__ import annotations

from config import Settings
from migrations import open_migrator


def every_number(settings: Settings) -> list[str]:
    """Return the numbers of all revisions of this backend, oldest first."""
    return [revision.number for revision in open_migrator(settings).history()]


def next_number(settings: Settings) -> str:
    """Return the number for a test's own revision."""
    return f"{int(every_number(settings)[-1]) + 1:04}"
