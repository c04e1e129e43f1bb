"""Routes of items."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import Query, Response

from api.cursors import list_arguments, page_response
from api.deps import AppSettings, CurrentUser, Items, owner_scope
from api.errors import (
    ITEM_NOT_FOUND,
    NO_TRANSACTIONS,
    NOT_OWNER,
    NOT_PRIVILEGED,
    TOKEN_PROBLEMS,
    VERSION_MISMATCH,
    documented,
)
from api.preconditions import ETAG, NOT_MODIFIED, IfMatch, IfNoneMatch, conditional_response, with_etag
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
    """List your own items, or all items as a superuser."""
    owner_id = owner_scope(user, query.owner_id)
    page = await items.list(owner_id=owner_id, **list_arguments(query, "items", settings))
    return page_response(page, query, "items", settings)


@router.post("/", response_model=ItemPublic, responses={**ETAG, **documented(*TOKEN_PROBLEMS)})
async def create_item(user: CurrentUser, body: ItemCreate, items: Items, response: Response) -> Item:
    """Create an item of your own."""
    return with_etag(await items.add(body, owner_id=user.id), response)


@router.post("/bulk", response_model=ItemsCreated, responses=documented(*TOKEN_PROBLEMS, NO_TRANSACTIONS))
async def create_items(user: CurrentUser, body: ItemsCreate, items: Items) -> dict[str, Any]:
    """Create many items of your own, all or none."""
    created = await items.add_many(body.data, owner_id=user.id)
    return {"data": created, "count": len(created)}


@router.get(
    "/{item_id}", response_model=ItemPublic, responses={**NOT_MODIFIED, **documented(*ITEM_PROBLEMS)}
)
async def read_item(
    item_id: str, user: CurrentUser, items: Items, if_none_match: IfNoneMatch, response: Response
) -> Item | Response:
    """Return an item."""
    return conditional_response(
        await items.get(item_id, owner_id=owner_scope(user)), if_none_match, response
    )


@router.patch("/{item_id}", response_model=ItemPublic, responses={**ETAG, **documented(*CHANGE_PROBLEMS)})
async def patch_item(
    item_id: str, user: CurrentUser, body: ItemUpdate, items: Items, if_match: IfMatch, response: Response
) -> Item:
    """Change the fields in the body. The other fields keep their values."""
    versions = if_match.versions_of(item_id)
    return with_etag(
        await items.update(item_id, body, owner_id=owner_scope(user), versions=versions), response
    )


@router.put("/{item_id}", response_model=ItemPublic, responses={**ETAG, **documented(*CHANGE_PROBLEMS)})
async def update_item(
    item_id: str, user: CurrentUser, body: ItemUpdate, items: Items, if_match: IfMatch, response: Response
) -> Item:
    """Change an item like PATCH, for clients that use PUT."""
    return await patch_item(item_id, user, body, items, if_match, response)


@router.delete("/{item_id}", response_model=Message, responses=documented(*CHANGE_PROBLEMS))
async def delete_item(item_id: str, user: CurrentUser, items: Items, if_match: IfMatch) -> Message:
    """Delete an item."""
    await items.delete(item_id, owner_id=owner_scope(user), versions=if_match.versions_of(item_id))
    return Message(message="Item deleted successfully")
