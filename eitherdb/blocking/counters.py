"""The blocking form of `backends.protocols.counters`.

Written by `make blocking`. Change that module, and write this one again.
"""

from __future__ import annotations

from backends import protocols
from backends.protocols.counters import Count
from eitherdb.blocking.opened import Blocking


class CounterRepository(Blocking[protocols.CounterRepository]):
    """Counters that expire, shared by all processes on the database. Throttling uses them.

    A key is any text of 1 to 255 characters. An expired counter is treated as if it did not exist.

    Each process decides by its own clock whether a counter has expired. If clocks differ, a counter that
    another process created may last longer than `lasts_seconds`; `Count.remaining` shows how long.
    """

    def add(self, key: str, amount: int, *, lasts_seconds: int) -> Count:
        """Add to the counter, or create it with the value `amount`; return its new state.

        An existing counter keeps its `ends_at`. No concurrent addition is lost.

        Args:
            key: See the class.
            amount: Any integer; the sum must fit 64 bits.
            lasts_seconds: The lifetime of a new counter, 0 or more; with 0 it expires at once.
        """
        return self._write("add", lambda part: part.add(key, amount, lasts_seconds=lasts_seconds))

    def get(self, key: str) -> Count | None:
        """Return the counter, or None if it does not exist."""
        return self._call(lambda part: part.get(key))

    def delete(self, key: str) -> None:
        """Delete the counter, if it exists."""
        return self._write("delete", lambda part: part.delete(key))
