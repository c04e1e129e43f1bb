"""The capabilities whose absence a test has met: the suite records them, the summary counts them."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from backends.capabilities import Capability  # At run time it would slow pytest's start.

_noted: set[Capability] = set()


def note_refusal(capability: Capability) -> None:
    """Record that the backend refused an operation because it lacks this capability."""
    _noted.add(capability)


def take_refusals() -> set[Capability]:
    """Return and clear the recorded capabilities."""
    taken = set(_noted)
    _noted.clear()
    return taken
