"""Time as tests want it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta


class ManualClock:
    """Time that passes by a millisecond a look, or stands still: tests decide."""

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Set it to where every test begins."""
        self.now = datetime(2026, 11, 22, 16, 25, 25, 123_000, tzinfo=UTC)
        self.step = timedelta(milliseconds=1)

    def __call__(self) -> datetime:
        """Return the time and let the step pass."""
        now = self.now
        self.now += self.step
        return now

    def pass_by(self, *, seconds: float) -> None:
        """Let this much time pass."""
        self.now += timedelta(seconds=seconds)

    def stop(self) -> None:
        """From now on it is always the same time."""
        self.step = timedelta(0)
