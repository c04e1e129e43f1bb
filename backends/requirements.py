"""The requirements for a database server and its user. They are checked before serving and migrating.

Each backend has a table of its requirements, and checks all of them at once (`Backend.check_server`).
Optional features are capabilities instead (`backends.capabilities`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Literal

from backends.errors import ServerUnfit

Subject = Literal["server", "privileges", "durability"]


class Purpose(StrEnum):
    """The purpose for which the database is opened."""

    READ = "read"
    """To read it. Every user who can connect may do so."""

    SERVE = "serve"
    """To read and change rows."""

    MIGRATE = "migrate"
    """To change the schema, and rows along with it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class UnmetRequirement:
    """A requirement that the server, the database or its user does not meet.

    Attributes:
        subject: The area of the requirement.
        found: The actual state: half a sentence.
        needed: The required state, or the consequence: half a sentence.
        remedy: The action for an operator, with the statement or command to run.
        is_fatal: Whether the contract can't be kept without it. Otherwise it is a warning.
    """

    subject: Subject
    found: str
    needed: str
    remedy: str
    is_fatal: bool = True

    def __str__(self) -> str:
        """Return the message in one line."""
        return f"{self.found}; {self.needed}: {self.remedy}"


def require(unmet: Sequence[UnmetRequirement]) -> list[UnmetRequirement]:
    """Return the requirements that are not fatal, which the caller logs as warnings.

    Args:
        unmet: The result of `Backend.check_server`.

    Raises:
        ServerUnfit: At least one requirement is fatal.
    """
    fatal = [str(each) for each in unmet if each.is_fatal]
    if fatal:
        raise ServerUnfit(fatal)
    return list(unmet)
