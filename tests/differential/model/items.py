"""Items: the caller's own, or all for a superuser."""

from __future__ import annotations

from operator import itemgetter

from tests.differential.model.calls import Call
from tests.differential.model.pages import page_for
from tests.differential.model.responses import Expected, message, refused, success
from tests.differential.model.state import Item, State, handles
from tests.differential.model.validation import ITEM, NEW_ITEM, NEW_ITEMS, values_of

NOT_FOUND = refused(404, "not_found", "Item not found")


@handles("items-create_item")
def create(state: State, call: Call) -> Expected:
    """Create an item of the caller."""
    caller = state.caller(call)
    item = Item(**state.body(call, NEW_ITEM), **state.new(), owner_id=caller.id)
    state.items[item.id] = item
    return success(item.shown, etag=item.etag)


@handles("items-create_items")
def create_many(state: State, call: Call) -> Expected:
    """Create several items whose ids ascend in the given order."""
    caller = state.caller(call)
    bodies = state.body(call, NEW_ITEMS)["data"]
    rows = sorted((state.new() for _ in bodies), key=itemgetter("id"))
    items = [
        Item(**values_of(body, NEW_ITEM), **row, owner_id=caller.id)
        for body, row in zip(bodies, rows, strict=True)
    ]
    state.items.update({item.id: item for item in items})
    return success({"data": [item.shown for item in items], "count": len(items)})


@handles("items-read_item")
def read(state: State, call: Call) -> Expected:
    """Return an item."""
    caller = state.caller(call)
    return state.show(state.find(state.items, call.path[0], caller, NOT_FOUND), call)


@handles("items-patch_item", "items-update_item")
def update(state: State, call: Call) -> Expected:
    """Update the fields in the body."""
    caller = state.caller(call)
    values = state.body(call, ITEM)
    item = state.find(state.items, call.path[0], caller, NOT_FOUND)
    state.expect_version(item, call)
    vars(item).update(values)
    item.version += bool(values)
    return success(item.shown, etag=item.etag)


@handles("items-delete_item")
def delete(state: State, call: Call) -> Expected:
    """Delete an item."""
    caller = state.caller(call)
    item = state.find(state.items, call.path[0], caller, NOT_FOUND)
    state.expect_version(item, call)
    del state.items[item.id]
    return message("Item deleted successfully")


@handles("items-read_items")
def list_items(state: State, call: Call) -> Expected:
    """List items."""
    return page_for(state, call, "items", list(state.items.values()))
