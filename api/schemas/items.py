"""Schemas of items."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, Field

from api.schemas.examples import ITEM, with_example
from api.schemas.fields import Timestamp
from api.schemas.lists import ListQuery
from backends.models import ItemChanges, ItemFilter, ItemSort, NewItem, SearchText
from backends.protocols import MAX_ADDED


class ItemPublic(BaseModel):
    """An item."""

    model_config = with_example(ITEM)

    id: str
    title: str
    description: str | None
    owner_id: str
    created_at: Timestamp


class ItemsPublic(BaseModel):
    """A page of items. `count` is the total; null with `count=none`."""

    model_config = with_example({"data": [ITEM], "count": 1, "next_cursor": None})

    data: list[ItemPublic]
    count: int | None
    next_cursor: str | None = None


class ItemCreate(NewItem):
    """A new item of the caller."""

    model_config = with_example({"title": ITEM["title"], "description": ITEM["description"]})


class ItemsCreate(BaseModel):
    """New items of the caller. Their order is kept."""

    model_config = with_example({"data": [{"title": ITEM["title"], "description": ITEM["description"]}]})

    data: Annotated[list[ItemCreate], Field(min_length=1, max_length=MAX_ADDED)]


class ItemsCreated(BaseModel):
    """The created items in the order of the request. `count` is their number."""

    model_config = with_example({"data": [ITEM], "count": 1})

    data: list[ItemPublic]
    count: int


class ItemUpdate(ItemChanges):  # type: ignore[misc]
    """Changes of an item. Absent fields keep their values."""

    model_config = with_example({"description": None})


class ItemListQuery(ListQuery):
    """Filters, sort order and page of a list of items."""

    sort: ItemSort = Field(default="-created_at", description="`-` for descending order.")
    title: SearchText | None = Field(default=None, description="The exact title.")
    q: SearchText | None = Field(
        default=None, description="A part of the title or the description. Case is ignored."
    )
    owner_id: str | None = Field(
        default=None, description="The owner. Other owners than the caller are for superusers only."
    )

    @property
    def where(self) -> Any:
        """The filter for the repository."""
        return ItemFilter.model_construct(**self.model_dump(include=set(ItemFilter.model_fields)))
