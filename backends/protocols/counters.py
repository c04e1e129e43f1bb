"""The contract of counters."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Protocol

COUNTER_SWEEP_INTERVAL = timedelta(minutes=10)
"""How often `CounterRepository.add` removes counters that have ended, by the backend's clock."""

CLOCK_TOLERANCE = timedelta(days=1)
"""How far apart the clocks of two instances may be: further than a wrong time zone sets them apart.

A counter is removed this long after its end, because an instance whose clock is behind still counts it.
"""


@dataclass(frozen=True, slots=True)
class Count:
    """What a counter says.

    Attributes:
        value: The sum of what was added.
        ends_at: When it ends: aware, UTC, whole milliseconds.
        remaining: The time until then, by the backend's clock. Not compared: it changes while the counter
            does not.
    """

    value: int
    ends_at: datetime
    remaining: timedelta = field(default=timedelta(), compare=False)


class CounterRepository(Protocol):
    """Counters that end by themselves, shared by every process on the database: what throttling counts.

    A key is any text of 1 to 255 characters. A counter whose end has come is as if it had never been.

    Each process decides by its own clock whether a counter has ended. Where clocks differ, what one process
    began may last longer for another than `lasts_seconds`: `Count.remaining` tells.
    """

    async def add(self, key: str, amount: int, *, lasts_seconds: int) -> Count:
        """Add to the counter, or begin it at `amount`; return what it is then.

        A running counter keeps its end. No concurrent addition is lost.

        Args:
            key: See the class.
            amount: Any integer, as long as the sum has 64 bits.
            lasts_seconds: 0 or more; a counter that lasts 0 has ended.
        """
        ...

    async def get(self, key: str) -> Count | None:
        """Return the counter; None if there is none."""
        ...

    async def delete(self, key: str) -> None:
        """End the counter, if there is one."""
        ...
