"""Items on the wire."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, Field

from api.schemas.examples import ITEM, shown_as
from api.schemas.fields import Timestamp
from api.schemas.lists import ListQuery
from backends.models import ItemChanges, ItemFilter, ItemSort, NewItem, SearchText
from backends.protocols import MAX_ADDED


class ItemPublic(BaseModel):
    """An item."""

    model_config = shown_as(ITEM)

    id: str
    title: str
    description: str | None
    owner_id: str
    created_at: Timestamp


class ItemsPublic(BaseModel):
    """A page of items; `count` is the total, null with `count=none`."""

    model_config = shown_as({"data": [ITEM], "count": 1, "next_cursor": None})

    data: list[ItemPublic]
    count: int | None
    next_cursor: str | None = None


class ItemCreate(NewItem):
    """A new item; its owner is the caller."""

    model_config = shown_as({"title": ITEM["title"], "description": ITEM["description"]})


class ItemsCreate(BaseModel):
    """New items of the caller, in their order."""

    model_config = shown_as({"data": [{"title": ITEM["title"], "description": ITEM["description"]}]})

    data: Annotated[list[ItemCreate], Field(min_length=1, max_length=MAX_ADDED)]


class ItemsCreated(BaseModel):
    """The items that were made, in the order in which they were given; `count` is how many."""

    model_config = shown_as({"data": [ITEM], "count": 1})

    data: list[ItemPublic]
    count: int


class ItemUpdate(ItemChanges):
    """Changes of an item; absent fields stay."""

    model_config = shown_as({"description": None})


class ItemListQuery(ListQuery):
    """Which items, in which order, and which part of them."""

    sort: ItemSort = Field(default="-created_at", description="`-` for descending.")
    title: SearchText | None = Field(default=None, description="The whole title, exactly.")
    q: SearchText | None = Field(
        default=None, description="A part of the title or of the description, in any case."
    )
    owner_id: str | None = Field(default=None, description="Whose items; of others for superusers only.")

    @property
    def where(self) -> ItemFilter:
        """The filter for the repository."""
        return ItemFilter.model_construct(**self.model_dump(include=set(ItemFilter.model_fields)))
