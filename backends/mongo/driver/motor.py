"""Motor."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from typing import Any, cast

from backends.concurrency import FifoSemaphore
from backends.mongo.driver.client import APP_NAME, DEFAULT_DATABASE, ConnectionCounter
from backends.mongo.driver.protocols import Database, Document, Filter, Session

MOTOR_THREADS = ("MOTOR_MAX_WORKERS", "200")
"""The environment variable with the most threads that Motor may make, and our default."""


class MotorDriver:
    """Motor: a transaction begins without await, closing is not awaited."""

    def __init__(
        self, url: str, options: Mapping[str, Any], *, semaphore: FifoSemaphore, max_time_ms: int | None
    ) -> None:
        """Connect lazily, in the running event loop."""
        # Read when Motor is imported. A command keeps one of its threads until it is answered: with five a
        # core, Motor's default, a few that hang would let all others wait, longer than any limit.
        os.environ.setdefault(*MOTOR_THREADS)
        from motor.motor_asyncio import AsyncIOMotorClient  # noqa: PLC0415 - only when chosen

        self.semaphore = semaphore
        self.max_time_ms = max_time_ms
        self._time_limit = {} if max_time_ms is None else {"maxTimeMS": max_time_ms}
        self.name = f"motor {version('motor')}"
        self._counter = ConnectionCounter()
        self._client: Any = AsyncIOMotorClient(url, event_listeners=[self._counter], **options)
        self.app_name = APP_NAME
        self.database = cast("Database", self._client.get_default_database(DEFAULT_DATABASE))
        self.admin = cast("Database", self._client.get_database("admin"))

    @property
    def connections_in_use(self) -> int:
        """See `Driver`."""
        return self._counter.in_use

    async def aggregate(
        self, collection: Any, pipeline: Sequence[Filter], *, batch_size: int
    ) -> list[Document]:
        """See `Driver`."""
        async with self.semaphore.slot():
            found = collection.aggregate(pipeline, batchSize=batch_size, **self._time_limit)
            return cast("list[Document]", await found.to_list(None))

    async def begin(self) -> Session:
        """See `Driver`."""
        session = await self._client.start_session()
        session.start_transaction()
        return cast("Session", session)

    async def close(self) -> None:
        """See `Driver`."""
        self._client.close()
