"""Counters in LMDB: `counters:<SHA-256 of the key>`."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from hashlib import sha256

import lmdb

from backends.ids import Clock, read_time, write_time
from backends.protocols import CLOCK_TOLERANCE, COUNTER_SWEEP_INTERVAL, Count
from backends.rows import unreadable
from eitherdb_lmdb.keys import value_at, walk
from eitherdb_lmdb.store import Store
from eitherdb_lmdb.tables import stored_fields

_PREFIX = b"counters:"


def _key(key: str) -> bytes:
    return _PREFIX + sha256(key.encode()).digest()


def _running(kept: bytes | None, now: datetime) -> Count | None:
    if kept is None:
        return None
    try:
        fields = json.loads(kept)
        ends_at = read_time(fields["ends_at"])
        return Count(fields["value"], ends_at, ends_at - now) if ends_at > now else None
    except (KeyError, TypeError, ValueError) as exc:
        raise unreadable("counters", stored_fields(kept)) from exc


class LmdbCounterRepository:
    """`backends.protocols.CounterRepository`."""

    def __init__(self, store: Store, *, clock: Clock) -> None:
        """Use this store and clock."""
        self._store = store
        self._clock = clock
        self._sweep_at: datetime | None = None

    async def add(self, key: str, amount: int, *, lasts_seconds: int) -> Count:
        """See the protocol. Some calls also remove counters that expired long ago."""
        now = self._clock()
        sweep_at = self._sweep_at
        sweeps = sweep_at is None or not sweep_at - COUNTER_SWEEP_INTERVAL <= now < sweep_at
        if sweeps:
            self._sweep_at = now + COUNTER_SWEEP_INTERVAL

        def work(transaction: lmdb.Transaction) -> Count:
            if sweeps:
                ended_by = now - CLOCK_TOLERANCE
                for ended in [k for k, kept in walk(transaction, _PREFIX) if not _running(kept, ended_by)]:
                    transaction.delete(ended)
            before = _running(value_at(transaction, _key(key)), now)
            ends_at = before.ends_at if before else now + timedelta(seconds=lasts_seconds)
            after = Count((before.value if before else 0) + amount, ends_at, ends_at - now)
            stored = {"key": key, "value": after.value, "ends_at": write_time(after.ends_at)}
            transaction.put(_key(key), json.dumps(stored).encode())
            return after

        return await self._store.write(work)

    async def get(self, key: str) -> Count | None:
        """See the protocol."""
        now = self._clock()
        return await self._store.read(lambda transaction: _running(value_at(transaction, _key(key)), now))

    async def delete(self, key: str) -> None:
        """See the protocol."""
        await self._store.write(lambda transaction: transaction.delete(_key(key)))
