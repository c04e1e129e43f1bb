"""The limits of one call."""

from __future__ import annotations

MAX_LIMIT = 1000
"""The maximum number of rows on a page."""

MAX_ADDED = 1000
"""The maximum number of rows that one call adds."""
