"""Items: one's own, or all for a superuser."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import Query, Response

from api.cursors import shown_page, window_of
from api.deps import AppSettings, CurrentUser, Items, scope_of
from api.errors import (
    ITEM_NOT_FOUND,
    NO_TRANSACTIONS,
    NOT_OWNER,
    NOT_PRIVILEGED,
    TOKEN_PROBLEMS,
    VERSION_MISMATCH,
    documented,
)
from api.preconditions import ETAG, NOT_MODIFIED, IfMatch, IfNoneMatch, tagged, unless_known
from api.routing import make_router
from api.schemas import (
    ItemCreate,
    ItemListQuery,
    ItemPublic,
    ItemsCreate,
    ItemsCreated,
    ItemsPublic,
    ItemUpdate,
    Message,
)
from backends.models import Item

router = make_router("items", "/items")

ITEM_PROBLEMS = (*TOKEN_PROBLEMS, ITEM_NOT_FOUND, NOT_OWNER)
CHANGE_PROBLEMS = (*ITEM_PROBLEMS, VERSION_MISMATCH)


@router.get("/", response_model=ItemsPublic, responses=documented(*TOKEN_PROBLEMS, NOT_PRIVILEGED))
async def read_items(
    user: CurrentUser, items: Items, query: Annotated[ItemListQuery, Query()], settings: AppSettings
) -> Response:
    """List the items: one's own, or everyone's for a superuser."""
    owner_id = scope_of(user, query.owner_id)
    page = await items.list(owner_id=owner_id, **window_of(query, "items", settings))
    return shown_page(page, query, "items", settings)


@router.post("/", response_model=ItemPublic, responses={**ETAG, **documented(*TOKEN_PROBLEMS)})
async def create_item(user: CurrentUser, body: ItemCreate, items: Items, response: Response) -> Item:
    """Make an item of one's own."""
    return tagged(await items.add(body, owner_id=user.id), response)


@router.post("/bulk", response_model=ItemsCreated, responses=documented(*TOKEN_PROBLEMS, NO_TRANSACTIONS))
async def create_items(user: CurrentUser, body: ItemsCreate, items: Items) -> dict[str, Any]:
    """Make many items of one's own, all or none."""
    made = await items.add_many(body.data, owner_id=user.id)
    return {"data": made, "count": len(made)}


@router.get(
    "/{item_id}", response_model=ItemPublic, responses={**NOT_MODIFIED, **documented(*ITEM_PROBLEMS)}
)
async def read_item(
    item_id: str, user: CurrentUser, items: Items, known: IfNoneMatch, response: Response
) -> Item | Response:
    """Return an item."""
    return unless_known(await items.get(item_id, owner_id=scope_of(user)), known, response)


@router.patch("/{item_id}", response_model=ItemPublic, responses={**ETAG, **documented(*CHANGE_PROBLEMS)})
async def patch_item(
    item_id: str, user: CurrentUser, body: ItemUpdate, items: Items, expected: IfMatch, response: Response
) -> Item:
    """Change the fields that the body has; the others stay."""
    versions = expected.versions_of(item_id)
    return tagged(await items.update(item_id, body, owner_id=scope_of(user), versions=versions), response)


@router.put("/{item_id}", response_model=ItemPublic, responses={**ETAG, **documented(*CHANGE_PROBLEMS)})
async def update_item(
    item_id: str, user: CurrentUser, body: ItemUpdate, items: Items, expected: IfMatch, response: Response
) -> Item:
    """Do what PATCH does, for clients that were written against PUT."""
    return await patch_item(item_id, user, body, items, expected, response)


@router.delete("/{item_id}", response_model=Message, responses=documented(*CHANGE_PROBLEMS))
async def delete_item(item_id: str, user: CurrentUser, items: Items, expected: IfMatch) -> Message:
    """Delete an item."""
    await items.delete(item_id, owner_id=scope_of(user), versions=expected.versions_of(item_id))
    return Message(message="Item deleted successfully")
