"""Counters in LMDB: `counter:<SHA-256 of the key>`."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from hashlib import sha256

import lmdb

from backends.ids import Clock
from backends.protocols import COUNTER_SWEEP_INTERVAL, Count
from eitherdb_lmdb.store import Store, value_at
from eitherdb_lmdb.tables import to_milliseconds, to_time, walk

_PREFIX = b"counter:"


def _key(key: str) -> bytes:
    return _PREFIX + sha256(key.encode()).digest()


def _running(kept: bytes | None, now: datetime) -> Count | None:
    if kept is None:
        return None
    value, ends_at = json.loads(kept)
    return Count(value, to_time(ends_at)) if to_time(ends_at) > now else None


class LmdbCounterRepository:
    """`backends.protocols.CounterRepository`."""

    def __init__(self, store: Store, *, clock: Clock) -> None:
        """Use this store and this clock."""
        self._store = store
        self._clock = clock
        self._sweep_at: datetime | None = None

    async def add(self, key: str, amount: int, *, lasts_seconds: int) -> Count:
        """See the protocol. Now and then it removes the counters that have ended: nobody reads them."""
        now = self._clock()
        sweeps = self._sweep_at is None or now >= self._sweep_at
        if sweeps:
            self._sweep_at = now + COUNTER_SWEEP_INTERVAL

        def work(transaction: lmdb.Transaction) -> Count:
            if sweeps:
                for ended in [k for k, kept in walk(transaction, _PREFIX) if _running(kept, now) is None]:
                    transaction.delete(ended)
            before = _running(value_at(transaction, _key(key)), now)
            after = (
                Count(amount, now + timedelta(seconds=lasts_seconds))
                if before is None
                else Count(before.value + amount, before.ends_at)
            )
            transaction.put(_key(key), json.dumps([after.value, to_milliseconds(after.ends_at)]).encode())
            return after

        return await self._store.write(work)

    async def get(self, key: str) -> Count | None:
        """See the protocol."""
        now = self._clock()
        return await self._store.read(lambda transaction: _running(value_at(transaction, _key(key)), now))

    async def delete(self, key: str) -> None:
        """See the protocol."""
        await self._store.write(lambda transaction: transaction.delete(_key(key)))
