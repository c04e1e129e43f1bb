"""The contract of counters."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Protocol

COUNTER_SWEEP_INTERVAL = timedelta(minutes=10)
"""The interval at which `CounterRepository.add` removes expired counters, by the backend's clock."""

CLOCK_TOLERANCE = timedelta(days=1)
"""The maximum difference between the clocks of two instances; larger than the error of a wrong time zone.

A counter is removed this long after it expires, because an instance whose clock is behind still uses it.
"""


@dataclass(frozen=True, slots=True)
class Count:
    """The state of a counter.

    Attributes:
        value: The sum of all added amounts.
        ends_at: The time at which the counter expires: aware, UTC, whole milliseconds.
        remaining: The time until `ends_at`, by the backend's clock. Not compared, because it changes while
            the counter does not.
    """

    value: int
    ends_at: datetime
    remaining: timedelta = field(default=timedelta(), compare=False)


class CounterRepository(Protocol):
    """Counters that expire, shared by all processes on the database. Throttling uses them.

    A key is any text of 1 to 255 characters. An expired counter is treated as if it did not exist.

    Each process decides by its own clock whether a counter has expired. If clocks differ, a counter that
    another process created may last longer than `lasts_seconds`; `Count.remaining` shows how long.
    """

    async def add(self, key: str, amount: int, *, lasts_seconds: int) -> Count:
        """Add to the counter, or create it with the value `amount`; return its new state.

        An existing counter keeps its `ends_at`. No concurrent addition is lost.

        Args:
            key: See the class.
            amount: Any integer; the sum must fit 64 bits.
            lasts_seconds: The lifetime of a new counter, 0 or more; with 0 it expires at once.
        """
        ...

    async def get(self, key: str) -> Count | None:
        """Return the counter, or None if it does not exist."""
        ...

    async def delete(self, key: str) -> None:
        """Delete the counter, if it exists."""
        ...
