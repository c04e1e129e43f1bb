"""The numbers of the revisions: no other test knows which is the newest, so that the next breaks none."""

from __future__ import annotations

from config import Settings
from migrations import open_migrator


def every_number(settings: Settings) -> list[str]:
    """Return the numbers of all revisions of this kind of database, oldest first."""
    return [revision.number for revision in open_migrator(settings).history()]


def next_number(settings: Settings) -> str:
    """Return the number that a test's own revision has."""
    return f"{int(every_number(settings)[-1]) + 1:04}"
