"""How much one call may ask for."""

from __future__ import annotations

MAX_LIMIT = 1000
"""The most rows that a list method is asked for at once."""

MAX_ADDED = 1000
"""The most rows that one call adds."""
