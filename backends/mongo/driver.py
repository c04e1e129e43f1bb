"""The seam between the repositories and the two asyncio drivers, Motor and PyMongo's own.

The two have nearly the same methods. What the repositories use of them is written down here once, as
protocols; where they differ (how a session and a transaction begin, whether `close` is awaited) there is
a method of `Driver`. No repository knows which one it has.

Motor reached its end of life on 14 May 2026 (https://www.mongodb.com/docs/drivers/motor/) and stays the
default because a deployment chose it; `MONGO_DRIVER=pymongo` is the successor.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from typing import TYPE_CHECKING, Any, Protocol, cast

from pymongo import ReadPreference
from pymongo.errors import ConfigurationError
from pymongo.monitoring import (
    ConnectionCheckedInEvent,
    ConnectionCheckedOutEvent,
    ConnectionPoolListener,
)

from backends.concurrency import FifoSemaphore

if TYPE_CHECKING:
    from pymongo import UpdateOne
    from pymongo.read_concern import ReadConcern

    from config import MongoDriver, Settings

Document = dict[str, Any]
Filter = Mapping[str, Any]
Sort = Sequence[tuple[str, int]]

DEFAULT_DATABASE = "eitherdb"
APP_NAME = "eitherdb"

MOTOR_THREADS = ("MOTOR_MAX_WORKERS", "200")
"""The environment variable with the most threads that Motor may make, and our default."""


class Session(Protocol):
    """A client session with a transaction in it."""

    async def commit_transaction(self) -> None:
        """Make the transaction's changes durable."""

    async def abort_transaction(self) -> None:
        """Undo them."""

    async def end_session(self) -> None:
        """Give the session back."""


class Cursor(Protocol):
    """The documents that a query finds."""

    def sort(self, keys: Sort) -> Cursor:
        """Order them."""

    def skip(self, skip: int) -> Cursor:
        """Pass some over."""

    def limit(self, limit: int) -> Cursor:
        """Stop after so many; 0 would mean no limit."""

    async def to_list(self, length: int) -> list[Document]:
        """Fetch them."""


class UpdateResult(Protocol):
    """What an update did."""

    matched_count: int


class DeleteResult(Protocol):
    """What a deletion did."""

    deleted_count: int


class Collection(Protocol):
    """What EitherDB uses of a collection."""

    name: str

    async def insert_one(self, document: Document, *, session: Session | None = None) -> object:
        """Insert a document."""

    async def insert_many(self, documents: Sequence[Document], *, session: Session | None = None) -> object:
        """Insert many; without a transaction, each atomically."""

    def with_options(self, *, read_concern: ReadConcern) -> Collection:
        """Return the same collection, read otherwise."""

    async def find_one(
        self,
        where: Filter,
        /,
        projection: Filter | None = None,
        *,
        session: Session | None = None,
    ) -> Document | None:
        """Find a document."""

    def find(
        self,
        where: Filter,
        /,
        projection: Filter | None = None,
        *,
        max_time_ms: int | None = None,
        session: Session | None = None,
    ) -> Cursor:
        """Find many."""

    async def find_one_and_update(
        self,
        where: Filter,
        update: Filter,
        /,
        *,
        return_document: bool,
        upsert: bool = False,
        session: Session | None = None,
    ) -> Document | None:
        """Change a document and return it, atomically."""

    async def update_one(
        self,
        where: Filter,
        update: Filter | Sequence[Filter],
        /,
        *,
        upsert: bool = False,
        session: Session | None = None,
    ) -> UpdateResult:
        """Change a document."""

    async def update_many(self, where: Filter, update: Filter | Sequence[Filter]) -> UpdateResult:
        """Change many, each atomically."""

    async def bulk_write(self, changes: Sequence[UpdateOne]) -> object:
        """Make many changes in one command."""

    async def delete_one(self, where: Filter, /, *, session: Session | None = None) -> DeleteResult:
        """Delete a document."""

    async def delete_many(self, where: Filter, /, *, session: Session | None = None) -> DeleteResult:
        """Delete many."""

    async def create_index(self, keys: Sort, **options: Any) -> str:
        """Create an index; does nothing if the same one exists."""

    async def drop_index(self, name: str) -> None:
        """Drop an index."""

    async def index_information(self) -> Mapping[str, Mapping[str, Any]]:
        """Describe the indexes, by name."""


class Database(Protocol):
    """What EitherDB uses of a database."""

    name: str

    def __getitem__(self, name: str) -> Collection:
        """Return a collection."""

    async def command(self, command: str | Mapping[str, Any]) -> Document:
        """Run a database command."""

    async def create_collection(self, name: str, **options: Any) -> Collection:
        """Create a collection."""

    async def drop_collection(self, name: str) -> object:
        """Drop a collection and all that is in it."""


class Driver(Protocol):
    """A connected client."""

    name: str
    app_name: str
    """What the server knows this client by; every EitherDB has the same."""
    database: Database
    admin: Database
    """The database `admin`, for what concerns the whole server."""
    max_time_ms: int | None
    """How long the server may work on a list or a count; None for no limit."""
    semaphore: FifoSemaphore
    """Whoever sends commands that are many takes a turn here first, and then finds a connection free."""

    @property
    def connections_in_use(self) -> int:
        """How many pooled connections are taken right now."""

    async def aggregate(
        self, collection: Collection, pipeline: Sequence[Filter], *, batch_size: int
    ) -> list[Document]:
        """Run a pipeline, for no longer than `max_time_ms`; return all that it gives.

        The server sends it in batches of this size.
        """

    async def begin(self) -> Session:
        """Start a transaction in a session of its own; the caller ends both."""

    async def close(self) -> None:
        """Close every connection."""


class _ConnectionCounter(ConnectionPoolListener):
    """Counts what is checked out, from the driver's own events; the other events don't matter."""

    def __init__(self) -> None:
        self.in_use = 0

    def connection_checked_out(self, event: ConnectionCheckedOutEvent) -> None:  # noqa: ARG002
        self.in_use += 1

    def connection_checked_in(self, event: ConnectionCheckedInEvent) -> None:  # noqa: ARG002
        self.in_use -= 1

    def pool_created(self, event: object) -> None: ...
    def pool_ready(self, event: object) -> None: ...
    def pool_cleared(self, event: object) -> None: ...
    def pool_closed(self, event: object) -> None: ...
    def connection_created(self, event: object) -> None: ...
    def connection_ready(self, event: object) -> None: ...
    def connection_closed(self, event: object) -> None: ...
    def connection_check_out_started(self, event: object) -> None: ...
    def connection_check_out_failed(self, event: object) -> None: ...


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
        self._counter = _ConnectionCounter()
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


class PyMongoDriver:
    """PyMongo's AsyncMongoClient: a session starts without await, the rest is awaited."""

    def __init__(
        self, url: str, options: Mapping[str, Any], *, semaphore: FifoSemaphore, max_time_ms: int | None
    ) -> None:
        """Connect lazily, in the running event loop."""
        from pymongo import AsyncMongoClient  # noqa: PLC0415 - only when chosen

        self.semaphore = semaphore
        self.max_time_ms = max_time_ms
        self._time_limit = {} if max_time_ms is None else {"maxTimeMS": max_time_ms}
        self.name = f"pymongo {version('pymongo')}"
        self._counter = _ConnectionCounter()
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


_DRIVERS: dict[MongoDriver, type[MotorDriver | PyMongoDriver]] = {
    "motor": MotorDriver,
    "pymongo": PyMongoDriver,
}


def open_driver(settings: Settings, *, command_timeout: bool = True) -> Driver:
    """Make the client that the settings name, in the running event loop.

    What the contract depends on is set here and wins over the URL: writes are acknowledged by a majority
    and journalled; reads come from the primary and see only what a majority has, so that nothing read is
    ever rolled back by an election.

    Args:
        settings: URL, driver, pool size and time limits.
        command_timeout: Whether `db_command_timeout_seconds` applies; migrations take as long as they take.

    Raises:
        pymongo.errors.PyMongoError: The URL can't be parsed, or has an option that the driver ignores.
    """
    options: dict[str, Any] = {
        "appname": APP_NAME,
        "maxPoolSize": settings.db_pool_size,
        "waitQueueTimeoutMS": int(settings.db_pool_timeout_seconds * 1000),
        "serverSelectionTimeoutMS": int(settings.db_connect_timeout_seconds * 1000),
        "connectTimeoutMS": int(settings.db_connect_timeout_seconds * 1000),
        "w": "majority",
        "journal": True,
        "readConcernLevel": "majority",
        "read_preference": ReadPreference.PRIMARY,
        "retryWrites": True,
        "tz_aware": False,
    }
    semaphore = FifoSemaphore(settings.db_pool_size, wait_timeout_seconds=settings.db_pool_timeout_seconds)
    max_time_ms = None
    if command_timeout:
        # Not timeoutMS: with that, the driver goes on retrying against a dead server until it is over.
        options["socketTimeoutMS"] = int(settings.db_command_timeout_seconds * 1000)
        # A little less: a read that the server ends has failed, one that the socket ends is tried again.
        max_time_ms = int(settings.db_command_timeout_seconds * 900)
    with warnings.catch_warnings():
        # The driver only warns of an option that it does not know; here that is a mistake to mend.
        warnings.filterwarnings("error", category=UserWarning, module="pymongo")
        try:
            return _DRIVERS[settings.mongo_driver](
                settings.url, options, semaphore=semaphore, max_time_ms=max_time_ms
            )
        except UserWarning as exc:
            raise ConfigurationError(str(exc)) from exc
