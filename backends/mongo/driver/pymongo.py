"""The driver PyMongo, with its asyncio client."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib.metadata import version
from typing import Any, cast

from backends.concurrency import FifoSemaphore
from backends.mongo.driver.client import APP_NAME, DEFAULT_DATABASE, ConnectionCounter
from backends.mongo.driver.protocols import Database, Document, Filter, Session


class PyMongoDriver:
    """PyMongo's AsyncMongoClient: starting a session is not awaited, everything else is."""

    def __init__(
        self, url: str, options: Mapping[str, Any], *, semaphore: FifoSemaphore, max_time_ms: int | None
    ) -> None:
        """Create the client in the running event loop; it connects on first use."""
        from pymongo import AsyncMongoClient  # noqa: PLC0415 - only when chosen

        self.semaphore = semaphore
        self.max_time_ms = max_time_ms
        self._time_limit = {} if max_time_ms is None else {"maxTimeMS": max_time_ms}
        self.name = f"pymongo {version('pymongo')}"
        self._counter = ConnectionCounter()
        self._client: AsyncMongoClient[Document] = AsyncMongoClient(
            url, event_listeners=[self._counter], **options
        )
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
            found = await collection.aggregate(pipeline, batchSize=batch_size, **self._time_limit)
            return cast("list[Document]", await found.to_list())

    async def begin(self) -> Session:
        """See `Driver`."""
        session = self._client.start_session()
        await session.start_transaction()
        return cast("Session", session)

    async def close(self) -> None:
        """See `Driver`."""
        await self._client.close()
