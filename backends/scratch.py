"""The contract of scratch databases, in which `eitherdb conformance` tests a server.

A scratch database is a new, empty database or schema on the configured server. Other data on the server is
not touched. The service itself never creates one.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from config import Settings

SCRATCH_PREFIX = "eitherdb_scratch_"
"""The prefix of scratch databases, before a random suffix. Leftovers of a crash may be dropped."""


class Transaction(Protocol):
    """An open transaction on its own connection, with the isolation level that the backend uses.

    It reads and writes the numbers that `Scratch.set_numbers` stores. Methods raise the driver's errors.
    """

    async def read(self, key: int) -> int:
        """Return the number at this key."""
        ...

    async def read_all(self) -> dict[int, int]:
        """Return all numbers by key. The query has a condition on the numbers, not on the keys."""
        ...

    async def write(self, key: int, number: int) -> None:
        """Update the number at an existing key."""
        ...

    async def add(self, key: int, number: int) -> None:
        """Insert a number at a new key."""
        ...

    async def commit(self) -> None:
        """Commit, and close the connection."""
        ...

    async def roll_back(self) -> None:
        """Roll back if the transaction is still open, and close the connection.

        This may be called after `commit`, and more than once.
        """
        ...


class Scratch(Protocol):
    """A new, empty database or schema.

    Attributes:
        settings: A copy of the given settings, with the URL of this database.
    """

    settings: Settings

    async def clean(self) -> None:
        """Delete every row of the migrated schema. Backends may be open."""
        ...

    async def durability_faults(self) -> list[str]:
        """Return the server settings with which a crash may lose a confirmed write."""
        ...

    async def set_numbers(self, numbers: Mapping[int, int]) -> None:
        """Replace the contents of the table of numbers, which is not part of the schema. At least one."""
        ...

    async def begin(self) -> Transaction | None:
        """Begin a transaction, or return None if this database has no interactive transactions."""
        ...

    async def drop(self) -> None:
        """Drop the database with its contents, and close its connections. Called once."""
        ...
