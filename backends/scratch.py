"""An empty place on the configured server in which the contract is tried, and nothing else is touched.

Made by a backend that `eitherdb conformance` can be run on; the service itself never makes one.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from config import Settings

SCRATCH_PREFIX = "eitherdb_scratch_"
"""How each scratch place is called, with something random behind it: what is left after a crash may go."""


class Transaction(Protocol):
    """A transaction on a connection of its own, begun as the backend begins its own.

    It works on the numbers that `Scratch.set_numbers` left. Every method raises what the driver raises.
    """

    async def read(self, key: int) -> int:
        """Return the number at this key."""
        ...

    async def read_all(self) -> dict[int, int]:
        """Return all numbers by their keys, found by a condition on the numbers and not by the keys."""
        ...

    async def write(self, key: int, number: int) -> None:
        """Set the number at this key, which there is."""
        ...

    async def add(self, key: int, number: int) -> None:
        """Add a number at a key that has none."""
        ...

    async def commit(self) -> None:
        """Keep what was done; the connection is closed."""
        ...

    async def roll_back(self) -> None:
        """Undo what was done, if anything is still to be undone; the connection is closed.

        Also called after `commit`, and a second time.
        """
        ...


class Scratch(Protocol):
    """A database, or a part of one, that was made empty a moment ago.

    Attributes:
        settings: A copy of those that it was made with, whose URL leads to this place.
    """

    settings: Settings

    async def clean(self) -> None:
        """Remove every row of the schema, once the caller has migrated it; backends are open meanwhile."""
        ...

    async def durability_faults(self) -> list[str]:
        """Name each setting of the server that lets a crash take back a write that was answered."""
        ...

    async def set_numbers(self, numbers: Mapping[int, int]) -> None:
        """Have just these numbers, at least one, in a table of their own, beside the schema."""
        ...

    async def begin(self) -> Transaction | None:
        """Begin a transaction; None if this kind of database has none that stays open between calls."""
        ...

    async def drop(self) -> None:
        """Remove the place with all that is in it, and close what was opened for it. Called once."""
        ...
