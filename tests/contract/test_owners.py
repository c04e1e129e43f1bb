"""Items and their owners: access of owners and other users."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import pytest

from backends.errors import NotFound, NotOwner
from backends.models import Item, ItemChanges, Page, User
from backends.protocols import Backend

from .expectations import all_rows, changed, delete_user, facts, race, raises
from .samples import UNKNOWN_ID, malformed_ids, new_item

pytestmark = pytest.mark.rule("Ownership")

Guarded = Callable[[Backend, str, str | None], Awaitable[object]]

GUARDED: dict[str, Guarded] = {
    "get": lambda backend, id_, owner_id: backend.items.get(id_, owner_id=owner_id),
    "update": lambda backend, id_, owner_id: backend.items.update(
        id_, ItemChanges(title="changed", description=None), owner_id=owner_id
    ),
    "update nothing": lambda backend, id_, owner_id: backend.items.update(
        id_, ItemChanges(), owner_id=owner_id
    ),
    "delete": lambda backend, id_, owner_id: backend.items.delete(id_, owner_id=owner_id),
}

guarded = pytest.mark.parametrize("operation", GUARDED.values(), ids=GUARDED)


@pytest.fixture
async def item(backend: Backend, owner: User) -> Item:
    """Return an item of the owner."""
    return await backend.items.add(new_item(), owner_id=owner.id)


@guarded
async def test_guarded_operation_of_another_user_raises_not_owner(
    backend: Backend, owner: User, other_user: User, item: Item, operation: Guarded
) -> None:
    """A caller who isn't the owner gets NotOwner; the item is unchanged."""
    with raises(NotOwner("item", item.id)):
        await operation(backend, item.id, other_user.id)

    assert await all_rows(backend) == ([other_user, owner], [item])


@guarded
async def test_guarded_operation_of_unknown_user_raises_not_owner(
    backend: Backend, owner: User, item: Item, operation: Guarded
) -> None:
    """An unknown or malformed owner id doesn't own the item."""
    for owner_id in [UNKNOWN_ID, item.id, *malformed_ids(owner.id)]:
        with raises(NotOwner("item", item.id)):
            await operation(backend, item.id, owner_id)

    assert await all_rows(backend) == ([owner], [item])


@guarded
async def test_guarded_operation_on_unknown_item_raises_not_found(
    backend: Backend, owner: User, other_user: User, item: Item, operation: Guarded
) -> None:
    """NotFound comes before NotOwner."""
    await backend.items.delete(item.id)

    for owner_id in (None, owner.id, other_user.id, UNKNOWN_ID, "", "\x00"):
        for id_ in (item.id, UNKNOWN_ID, "", "\x00"):
            with raises(NotFound("item", id_)):
                await operation(backend, id_, owner_id)

    assert await all_rows(backend) == ([other_user, owner], [])


async def test_guarded_operations_of_the_owner_succeed(
    backend: Backend, owner: User, other_user: User, item: Item
) -> None:
    """The owner may call every operation."""
    assert await backend.items.get(item.id, owner_id=owner.id) == item
    assert await backend.items.update(item.id, ItemChanges(), owner_id=owner.id) == item
    updated = await backend.items.update(item.id, ItemChanges(title="changed"), owner_id=owner.id)
    assert updated == changed(item, title="changed")
    await backend.items.delete(item.id, owner_id=owner.id)

    assert await all_rows(backend) == ([other_user, owner], [])


async def test_update_keeps_the_owner(backend: Backend, owner: User, other_user: User, item: Item) -> None:
    """No update changes the owner."""
    changes = ItemChanges.model_validate({"title": "taken", "owner_id": other_user.id})

    updated = await backend.items.update(item.id, changes)

    assert updated == changed(item, title="taken")
    assert await backend.items.get(item.id, owner_id=owner.id) == updated
    assert await backend.items.list(owner_id=other_user.id) == Page.of([], count=0, next=None)


async def test_list_of_an_owner_contains_only_its_items(
    backend: Backend, owner: User, other_user: User
) -> None:
    """An owner's list and count contain only its items."""
    items = [
        await backend.items.add(new_item(n), owner_id=(owner, other_user, owner)[n % 3].id)
        for n in range(9)
    ]
    newest_first = items[::-1]

    for user in (owner, other_user):
        mine = [item for item in newest_first if item.owner_id == user.id]
        assert await backend.items.list(owner_id=user.id) == Page.of(mine, count=len(mine), next=None)
    assert await backend.items.list() == Page.of(newest_first, count=9, next=None)


@pytest.mark.rule("Identity")
async def test_list_of_unknown_owner_is_empty(backend: Backend, owner: User, item: Item) -> None:
    """An unknown or malformed owner id has no items."""
    for owner_id in [UNKNOWN_ID, item.id, *malformed_ids(owner.id)]:
        assert await backend.items.list(owner_id=owner_id) == Page.of([], count=0, next=None)
        uncounted = await backend.items.list(owner_id=owner_id, count=False)
        assert uncounted == Page.of([], count=None, next=None)


async def test_list_of_deleted_owner_is_empty(backend: Backend, owner: User, item: Item) -> None:
    """The list of a deleted owner is empty."""
    deleted = await delete_user(backend, owner.id)

    expected: Page[Item] = Page.of([] if deleted else [item], count=0 if deleted else 1, next=None)
    assert await backend.items.list(owner_id=owner.id) == expected


async def test_concurrent_operations_of_owner_and_others_never_mix_up(
    backend: Backend, owner: User, other_user: User, item: Item
) -> None:
    """Only the owner's changes are applied when the calls of several users interleave."""
    users = [owner, other_user, other_user, other_user] * 8

    results, errors = await race(
        backend.items.update(item.id, ItemChanges(title=f"{user.email} {n}"), owner_id=user.id)
        for n, user in enumerate(users)
    )

    titles = [f"{user.email} {n}" for n, user in enumerate(users) if user == owner]
    assert results == [
        changed(item, version=result.version, title=title)
        for title, result in zip(titles, results, strict=True)
    ]
    assert errors == [facts(NotOwner("item", item.id))] * 24
    assert (await backend.items.get(item.id)).title in titles


async def test_concurrent_deletes_of_owner_and_others_let_the_owner_win(
    backend: Backend, owner: User, other_user: User
) -> None:
    """Another user's deletion never succeeds: it raises NotOwner or NotFound."""
    for _ in range(5):
        item = await backend.items.add(new_item(), owner_id=owner.id)

        done, errors = await race(
            backend.items.delete(item.id, owner_id=user.id)
            for user in [other_user] * 5 + [owner] + [other_user] * 5
        )

        assert done == [None]
        assert len(errors) == 10
        assert set(errors) <= {facts(NotOwner("item", item.id)), facts(NotFound("item", item.id))}
    assert await all_rows(backend) == ([other_user, owner], [])
