"""Batched look-ups of documents by id (a DataLoader)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Generic, TypeVar

from backends.dataloader import DataLoader
from backends.mongo.errors import translate_errors
from backends.mongo.schema import object_id

if TYPE_CHECKING:
    from backends.mongo.driver import Collection, Document, Driver, Filter

T = TypeVar("T")


class ById(Generic[T]):
    """A DataLoader for one collection: look-ups of concurrent callers share a query."""

    def __init__(
        self,
        driver: Driver,
        collection: Collection,
        to_model: Callable[[Document], T],
        *,
        projection: Filter | None = None,
    ) -> None:
        """Configure the look-up.

        Args:
            driver: The driver that runs the queries.
            collection: The collection to read.
            to_model: Maps a document to a model.
            projection: The fields that `to_model` needs; None for all.
        """
        self._semaphore = driver.semaphore
        self._collection = collection
        self._to_model = to_model
        self._projection = projection
        self._loader = DataLoader(self._find)

    async def get(self, id: str) -> T | None:
        """Return the model with this id, or None."""
        return await self._loader.load(id)

    async def _find(self, ids: Sequence[str]) -> dict[str, T]:
        # The server has a fast path for equality on `_id`.
        where = object_id(ids[0]) if len(ids) == 1 else {"$in": [object_id(id_) for id_ in ids]}
        async with self._semaphore.slot():
            with translate_errors():
                found = self._collection.find({"_id": where}, self._projection)
                documents = await found.to_list(len(ids))
        return {str(document["_id"]): self._to_model(document) for document in documents}
