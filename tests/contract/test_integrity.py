"""References: no item without its owner, also under concurrency."""

from __future__ import annotations

import asyncio

import pytest

from backends.capabilities import Capability
from backends.errors import NotFound
from backends.models import ItemChanges, Page, User, UserChanges
from backends.protocols import Backend

from .expectations import (
    all_rows,
    delete_user,
    delete_user_with_retries,
    facts,
    race,
    raises,
)
from .samples import UNKNOWN_ID, new_item, new_user

pytestmark = pytest.mark.rule("References", "Cascade")


async def test_delete_takes_all_items_of_the_user_and_no_others(
    backend: Backend, owner: User, other_user: User
) -> None:
    """Deleting a user deletes all its items and no items of others."""
    items = [
        await backend.items.add(new_item(n), owner_id=(owner, other_user)[n % 2].id) for n in range(10)
    ]

    deleted = await delete_user(backend, owner.id)

    kept = [item for item in items if item.owner_id == other_user.id or not deleted]
    assert await all_rows(backend) == ([other_user] if deleted else [other_user, owner], kept[::-1])
    if deleted:
        assert await backend.items.list(owner_id=owner.id) == Page.of([], count=0, next=None)
        for item in items[::2]:
            with raises(NotFound("item", item.id)):
                await backend.items.get(item.id)
            with raises(NotFound("item", item.id)):
                await backend.items.update(item.id, ItemChanges(title="back"))
            with raises(NotFound("item", item.id)):
                await backend.items.delete(item.id)
        with raises(NotFound("user", owner.id)):
            await backend.items.add(new_item(), owner_id=owner.id)
        assert await all_rows(backend) == ([other_user], kept[::-1])


async def test_delete_takes_more_items_than_a_page_has(backend: Backend, owner: User) -> None:
    """Deleting a user deletes more items than a page contains."""
    _, errors = await race(backend.items.add(new_item(n), owner_id=owner.id) for n in range(150))
    assert errors == []

    deleted = await delete_user(backend, owner.id)

    users, items = await all_rows(backend)
    assert (users, len(items)) == (([], 0) if deleted else ([owner], 150))


async def test_delete_of_the_same_address_again_does_not_touch_the_new_users_items(
    backend: Backend, owner: User
) -> None:
    """A new user with a deleted user's address is a different user, with its own items."""
    await backend.items.add(new_item(), owner_id=owner.id)
    if await delete_user(backend, owner.id):
        successor = await backend.users.add(new_user())
        item = await backend.items.add(new_item(), owner_id=successor.id)

        with raises(NotFound("user", owner.id)):
            await backend.users.delete(owner.id)

        assert await all_rows(backend) == ([successor], [item])


@pytest.mark.rule("Atomicity")
async def test_concurrent_deletes_of_one_user_let_one_win(
    backend: Backend, owner: User, other_user: User
) -> None:
    """One call deletes; the others raise NotFound."""
    for n in range(5):
        user = await backend.users.add(new_user(10 + n))
        await backend.items.add(new_item(n), owner_id=user.id)

        done, errors = await race(delete_user_with_retries(backend, user.id) for _ in range(6))

        if Capability.TRANSACTIONS in backend.capabilities:
            assert done == [True]
            assert errors == [facts(NotFound("user", user.id))] * 5
            assert await all_rows(backend) == ([other_user, owner], [])
        else:
            assert (done, errors) == ([False] * 6, [])


@pytest.mark.rule("Atomicity")
async def test_concurrent_deletes_of_different_users_all_succeed(backend: Backend) -> None:
    """Concurrent deletions of unrelated users don't conflict."""
    users = [await backend.users.add(new_user(n)) for n in range(10)]
    items = [await backend.items.add(new_item(n), owner_id=user.id) for n, user in enumerate(users)]

    done, errors = await race(delete_user(backend, user.id) for user in users)

    deleted = Capability.TRANSACTIONS in backend.capabilities
    assert (done, errors) == ([deleted] * 10, [])
    assert await all_rows(backend) == (([], []) if deleted else (users[::-1], items[::-1]))


@pytest.mark.rule("Atomicity")
async def test_concurrent_adds_by_one_owner_all_succeed(backend: Backend, owner: User) -> None:
    """Concurrent `add` calls of one owner don't conflict, although all refer to the same user."""
    items, errors = await race(backend.items.add(new_item(n), owner_id=owner.id) for n in range(200))

    assert errors == []
    assert [item.title for item in items] == [f"item {n}" for n in range(200)]
    _, stored = await all_rows(backend)
    assert {item.id: item for item in stored} == {item.id: item for item in items}
    assert len(stored) == 200


@pytest.mark.rule("Atomicity")
async def test_concurrent_adds_and_updates_of_the_owner_all_succeed(backend: Backend, owner: User) -> None:
    """Items can be added while their owner is updated."""
    calls = [backend.items.add(new_item(n), owner_id=owner.id) for n in range(30)]
    changes = [backend.users.update(owner.id, UserChanges(full_name=f"name {n}")) for n in range(30)]

    items, users = await asyncio.gather(asyncio.gather(*calls), asyncio.gather(*changes))

    stored_users, stored_items = await all_rows(backend)
    assert stored_users[0] in users
    assert {item.id: item for item in stored_items} == {item.id: item for item in items}


async def test_concurrent_adds_for_unknown_owner_leave_nothing(backend: Backend, owner: User) -> None:
    """Concurrent calls for an unknown owner store nothing and don't affect other users."""
    owner_ids = [UNKNOWN_ID, owner.id] * 20

    items, errors = await race(backend.items.add(new_item(), owner_id=owner_id) for owner_id in owner_ids)

    assert errors == [facts(NotFound("user", UNKNOWN_ID))] * 20
    assert len(items) == 20
    _, stored = await all_rows(backend)
    assert {item.id: item for item in stored} == {item.id: item for item in items}
