"""What the repositories use of a driver."""

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

    def with_options(
        self, *, read_concern: ReadConcern | None = None, codec_options: CodecOptions[Any] | None = None
    ) -> Collection:
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
    """How the name begins by which the server knows this client; every EitherDB has the same."""
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
