"""A clock for tests."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta


class ManualClock:
    """A clock that advances by a millisecond per reading, or stands still."""

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Reset the clock to the initial time of every test."""
        self.now = datetime(2026, 11, 22, 16, 25, 25, 123_000, tzinfo=UTC)
        self.step = timedelta(milliseconds=1)

    def __call__(self) -> datetime:
        """Return the time and advance the clock by its step."""
        now = self.now
        self.now += self.step
        return now

    def pass_by(self, *, seconds: float) -> None:
        """Advance the clock by this duration."""
        self.now += timedelta(seconds=seconds)

    def stop(self) -> None:
        """Stop the clock: every reading returns the same time."""
        self.step = timedelta(0)
