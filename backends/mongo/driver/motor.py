"""The driver Motor."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from typing import Any, cast

from backends.concurrency import FifoSemaphore
from backends.mongo.driver.client import APP_NAME, DEFAULT_DATABASE, ConnectionCounter
from backends.mongo.driver.protocols import Database, Document, Filter, Session

MOTOR_THREADS = ("MOTOR_MAX_WORKERS", "200")
"""The environment variable for Motor's thread limit, and EitherDB's default."""


class MotorDriver:
    """Motor: starting a transaction and closing are not awaited."""

    def __init__(
        self, url: str, options: Mapping[str, Any], *, semaphore: FifoSemaphore, max_time_ms: int | None
    ) -> None:
        """Create the client in the running event loop; it connects on first use."""
        # Motor reads the variable on import. A command holds a thread until its reply arrives. With Motor's
        # default of five threads per core, a few hanging commands would block all others past any timeout.
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
