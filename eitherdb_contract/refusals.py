"""Which capabilities a test has seen refused: the suite notes them, the summary counts them."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from backends.capabilities import Capability  # at run time it would cost every start of pytest

_noted: set[Capability] = set()


def note_refusal(capability: Capability) -> None:
    """Note that the backend refused something for want of this capability."""
    _noted.add(capability)


def take_refusals() -> set[Capability]:
    """Return what was noted since the last call, and forget it."""
    taken = set(_noted)
    _noted.clear()
    return taken
