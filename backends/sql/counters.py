"""The counter repository in SQL."""

from __future__ import annotations

import logging
from datetime import timedelta
from importlib import import_module
from typing import TYPE_CHECKING

from sqlalchemy import bindparam, case, delete, select

from backends.errors import BackendError
from backends.ids import Clock
from backends.protocols import CLOCK_TOLERANCE, COUNTER_SWEEP_INTERVAL, Count
from backends.sql.schema import COUNTERS
from backends.sql.statements import Row, Statement

if TYPE_CHECKING:
    from datetime import datetime

    from sqlalchemy.dialects import sqlite

    from backends.sql.connections import Connections

logger = logging.getLogger(__name__)


def _to_count(row: Row, now: datetime) -> Count:
    return Count(row["value"], row["ends_at"], row["ends_at"] - now)


_GET = select(COUNTERS).where(COUNTERS.c.key == bindparam("of_key"), COUNTERS.c.ends_at > bindparam("now"))
_DELETE = delete(COUNTERS).where(COUNTERS.c.key == bindparam("of_key"))
_SWEEP = delete(COUNTERS).where(COUNTERS.c.ends_at <= bindparam("ended_by"))


def _add(*, on_sqlite: bool) -> Statement:
    """Return the upsert. SQLAlchemy has one per dialect, with the same methods."""
    # Only the dialect in use is imported, because imports are slow.
    dialect = import_module(f"sqlalchemy.dialects.{'sqlite' if on_sqlite else 'postgresql'}")
    new: sqlite.Insert = dialect.insert(COUNTERS)
    has_ended = COUNTERS.c.ends_at <= bindparam("now")
    return new.on_conflict_do_update(
        index_elements=[COUNTERS.c.key],
        set_={
            "value": case((has_ended, new.excluded.value), else_=COUNTERS.c.value + new.excluded.value),
            "ends_at": case((has_ended, new.excluded.ends_at), else_=COUNTERS.c.ends_at),
        },
    ).returning(COUNTERS)


class SqlCounterRepository:
    """`backends.protocols.CounterRepository`. Each addition is one upsert."""

    def __init__(self, connections: Connections, *, on_sqlite: bool, clock: Clock) -> None:
        """Use these connections and this clock."""
        self._connections = connections
        self._add = _add(on_sqlite=on_sqlite)
        self._clock = clock
        self._sweep_at: datetime | None = None

    async def add(self, key: str, amount: int, *, lasts_seconds: int) -> Count:
        """See the protocol."""
        now = self._clock()
        await self._sweep(now)
        ends_at = now + timedelta(seconds=lasts_seconds)
        values = {"key": key, "value": amount, "ends_at": ends_at, "now": now}
        return _to_count((await self._connections.write(self._add, values))[0], now)

    async def get(self, key: str) -> Count | None:
        """See the protocol."""
        now = self._clock()
        rows = await self._connections.look_up(_GET, {"of_key": key, "now": now})
        return _to_count(rows[0], now) if rows else None

    async def delete(self, key: str) -> None:
        """See the protocol."""
        await self._connections.write(_DELETE, {"of_key": key})

    async def _sweep(self, now: datetime) -> None:
        """Periodically delete counters that expired more than `CLOCK_TOLERANCE` ago."""
        if self._sweep_at is not None and self._sweep_at - COUNTER_SWEEP_INTERVAL <= now < self._sweep_at:
            return
        self._sweep_at = now + COUNTER_SWEEP_INTERVAL
        try:
            await self._connections.write(_SWEEP, {"ended_by": now - CLOCK_TOLERANCE})
        except BackendError:
            logger.warning("could not remove the counters that have ended", exc_info=True)
