"""What a database must be, and what its user must be allowed, before anything is served or migrated.

Each backend has a table of its requirements and asks the server about all of them at once
(`Backend.check_server`). What the server can do without is a capability (`backends.capabilities`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Literal

from backends.errors import ServerUnfit

Subject = Literal["server", "privileges", "durability"]


class Purpose(StrEnum):
    """What the database is opened for."""

    READ = "read"
    """To look at it. Anybody who can connect may do that."""

    SERVE = "serve"
    """To read and change rows."""

    MIGRATE = "migrate"
    """To change the schema, and rows on the way."""


@dataclass(frozen=True, slots=True, kw_only=True)
class UnmetRequirement:
    """Something that the server, the database or its user lacks.

    Attributes:
        subject: What it is about.
        found: What was found: half a sentence.
        needed: What is needed: half a sentence.
        remedy: What an operator does about it, with the statement or the command that does it.
        is_fatal: Whether it keeps the contract from being kept. If not, it costs what `needed` says.
    """

    subject: Subject
    found: str
    needed: str
    remedy: str
    is_fatal: bool = True

    def __str__(self) -> str:
        """Return all of it in one line."""
        return f"{self.found}; {self.needed}: {self.remedy}"


def require(unmet: Sequence[UnmetRequirement]) -> list[UnmetRequirement]:
    """Return what is not fatal, for the caller to warn of.

    Args:
        unmet: What `Backend.check_server` returned.

    Raises:
        ServerUnfit: Something is fatal.
    """
    fatal = [str(each) for each in unmet if each.is_fatal]
    if fatal:
        raise ServerUnfit(fatal)
    return list(unmet)
