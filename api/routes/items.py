"""Items: one's own, or all for a superuser."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query

from api.cursors import read_cursor, write_cursor
from api.deps import AppSettings, CurrentUser, GuardedRoute, Items
from api.errors import ITEM_NOT_FOUND, NOT_OWNER, TOKEN_PROBLEMS, documented
from api.schemas import ItemCreate, ItemPublic, ItemsPublic, ItemUpdate, ListQuery, Message
from backends.models import Item, User

router = APIRouter(prefix="/items", tags=["items"], route_class=GuardedRoute)

ITEM_PROBLEMS = (*TOKEN_PROBLEMS, ITEM_NOT_FOUND, NOT_OWNER)


def _scope(user: User) -> str | None:
    """Whose items the user may touch: None means everyone's."""
    return None if user.is_superuser else user.id


@router.get("/", response_model=ItemsPublic, responses=documented(*TOKEN_PROBLEMS))
async def read_items(
    user: CurrentUser, items: Items, query: Annotated[ListQuery, Query()], settings: AppSettings
) -> dict[str, Any]:
    """List the items, newest first."""
    page = await items.list(
        owner_id=_scope(user),
        skip=query.skip,
        limit=query.limit,
        after=read_cursor(query.cursor, "items", settings),
        count=query.count == "exact",
    )
    next_cursor = write_cursor(page.next, "items", settings)
    return {"data": page.data, "count": page.count, "next_cursor": next_cursor}


@router.post("/", response_model=ItemPublic, responses=documented(*TOKEN_PROBLEMS))
async def create_item(user: CurrentUser, body: ItemCreate, items: Items) -> Item:
    """Make an item of one's own."""
    return await items.add(body, owner_id=user.id)


@router.get("/{item_id}", response_model=ItemPublic, responses=documented(*ITEM_PROBLEMS))
async def read_item(item_id: str, user: CurrentUser, items: Items) -> Item:
    """Return an item."""
    return await items.get(item_id, owner_id=_scope(user))


@router.patch("/{item_id}", response_model=ItemPublic, responses=documented(*ITEM_PROBLEMS))
async def patch_item(item_id: str, user: CurrentUser, body: ItemUpdate, items: Items) -> Item:
    """Change the fields that the body has; the others stay."""
    return await items.update(item_id, body, owner_id=_scope(user))


@router.put("/{item_id}", response_model=ItemPublic, responses=documented(*ITEM_PROBLEMS))
async def update_item(item_id: str, user: CurrentUser, body: ItemUpdate, items: Items) -> Item:
    """Do what PATCH does, for clients that were written against PUT."""
    return await items.update(item_id, body, owner_id=_scope(user))


@router.delete("/{item_id}", response_model=Message, responses=documented(*ITEM_PROBLEMS))
async def delete_item(item_id: str, user: CurrentUser, items: Items) -> Message:
    """Delete an item."""
    await items.delete(item_id, owner_id=_scope(user))
    return Message(message="Item deleted successfully")
