"""Protocols of the driver's methods that the repositories use."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from backends.concurrency import FifoSemaphore

if TYPE_CHECKING:
    from bson.codec_options import CodecOptions
    from pymongo import UpdateOne
    from pymongo.read_concern import ReadConcern


Document = dict[str, Any]
Filter = Mapping[str, Any]
Sort = Sequence[tuple[str, int]]


class Session(Protocol):
    """A client session with a transaction."""

    async def commit_transaction(self) -> None:
        """Commit the transaction."""

    async def abort_transaction(self) -> None:
        """Roll the transaction back."""

    async def end_session(self) -> None:
        """Return the session to the driver."""


class Cursor(Protocol):
    """The result of a query."""

    def sort(self, keys: Sort) -> Cursor:
        """Sort the documents."""

    def skip(self, skip: int) -> Cursor:
        """Skip documents."""

    def limit(self, limit: int) -> Cursor:
        """Limit the number of documents; 0 means no limit."""

    async def to_list(self, length: int) -> list[Document]:
        """Fetch the documents."""


class UpdateResult(Protocol):
    """The result of an update."""

    matched_count: int


class DeleteResult(Protocol):
    """The result of a deletion."""

    deleted_count: int


class Collection(Protocol):
    """The methods of a collection that EitherDB uses."""

    name: str

    async def insert_one(self, document: Document, *, session: Session | None = None) -> object:
        """Insert a document."""

    async def insert_many(self, documents: Sequence[Document], *, session: Session | None = None) -> object:
        """Insert documents; without a transaction, each insert is atomic."""

    def with_options(
        self, *, read_concern: ReadConcern | None = None, codec_options: CodecOptions[Any] | None = None
    ) -> Collection:
        """Return the same collection with other read options."""

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
        """Find documents."""

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
        """Update a document and return it, atomically."""

    async def update_one(
        self,
        where: Filter,
        update: Filter | Sequence[Filter],
        /,
        *,
        upsert: bool = False,
        session: Session | None = None,
    ) -> UpdateResult:
        """Update a document."""

    async def update_many(
        self, where: Filter, update: Filter | Sequence[Filter], /, *, session: Session | None = None
    ) -> UpdateResult:
        """Update documents; without a transaction, each update is atomic."""

    async def bulk_write(self, changes: Sequence[UpdateOne]) -> object:
        """Run several updates in one command."""

    async def delete_one(self, where: Filter, /, *, session: Session | None = None) -> DeleteResult:
        """Delete a document."""

    async def delete_many(self, where: Filter, /, *, session: Session | None = None) -> DeleteResult:
        """Delete documents."""

    async def create_index(self, keys: Sort, **options: Any) -> str:
        """Create an index; do nothing if the same index exists."""

    async def drop_index(self, name: str, **options: Any) -> None:
        """Drop an index."""

    async def index_information(self) -> Mapping[str, Mapping[str, Any]]:
        """Return the indexes by name."""


class Database(Protocol):
    """The methods of a database that EitherDB uses."""

    name: str

    def __getitem__(self, name: str) -> Collection:
        """Return a collection."""

    async def command(self, command: str | Mapping[str, Any]) -> Document:
        """Run a database command."""

    async def create_collection(self, name: str, **options: Any) -> Collection:
        """Create a collection."""

    async def drop_collection(self, name: str) -> object:
        """Drop a collection and its documents."""


class Driver(Protocol):
    """A connected client."""

    name: str
    app_name: str
    """The prefix of the client's name on the server; every EitherDB has the same."""
    database: Database
    admin: Database
    """The database `admin`, for commands on the whole server."""
    max_time_ms: int | None
    """The server's time limit for a list or a count; None for no limit."""
    semaphore: FifoSemaphore
    """Limits concurrent lists, look-ups and transactions to the pool size, so that a connection is free."""

    @property
    def connections_in_use(self) -> int:
        """The number of connections that are checked out of the pool."""

    async def aggregate(
        self, collection: Collection, pipeline: Sequence[Filter], *, batch_size: int
    ) -> list[Document]:
        """Run a pipeline within `max_time_ms` and return all documents.

        The server sends them in batches of `batch_size`.
        """

    async def begin(self) -> Session:
        """Start a session and a transaction in it; the caller ends both."""

    async def close(self) -> None:
        """Close all connections."""
