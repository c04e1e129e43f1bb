"""Versions: what increments them, and changes that require a known version."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection
from typing import Any

import pytest

from backends.capabilities import Capability
from backends.errors import AlreadyExists, NotFound, NotOwner, VersionMismatch
from backends.models import Item, ItemChanges, User, UserChanges
from backends.protocols import Backend

from .conftest import Opener
from .expectations import (
    MAX_ATTEMPTS,
    all_rows,
    changed,
    delete_user,
    delete_user_with_retries,
    facts,
    race,
    raises,
    refused_without,
)
from .samples import OTHER_ITEM, OTHER_USER, UNKNOWN_ID, malformed_ids, new_item, new_user

pytestmark = pytest.mark.rule("Versions")

Versions = Collection[int] | None

NONE_OF_THEM: list[Collection[int]] = [
    [],
    set(),
    (2,),
    {2, 4},
    [0, -1],
    frozenset({2**31, 2**63 - 1, -(2**63)}),
]
ONE_OF_THEM: list[Collection[int]] = [[3], {3}, (1, 2, 3), frozenset({3, 99}), [3, 3], list(range(200))]


@pytest.fixture
async def user(backend: Backend) -> User:
    """Return a user of version 3."""
    user = await backend.users.add(new_user(2))
    for name in ("a", "b"):
        user = await backend.users.update(user.id, UserChanges(full_name=name))
    assert user.version == 3
    return user


@pytest.fixture
async def item(backend: Backend, owner: User) -> Item:
    """Return an item of version 3."""
    item = await backend.items.add(new_item(), owner_id=owner.id)
    for title in ("a", "b"):
        item = await backend.items.update(item.id, ItemChanges(title=title))
    assert item.version == 3
    return item


ItemCall = Callable[[Backend, str, str | None, Versions], Awaitable[object]]
ITEM_CALLS: dict[str, ItemCall] = {
    "update": lambda b, id_, owner_id, versions: b.items.update(
        id_, ItemChanges.model_validate(OTHER_ITEM), owner_id=owner_id, versions=versions
    ),
    "update nothing": lambda b, id_, owner_id, versions: b.items.update(
        id_, ItemChanges(), owner_id=owner_id, versions=versions
    ),
    "delete": lambda b, id_, owner_id, versions: b.items.delete(id_, owner_id=owner_id, versions=versions),
}
UserCall = Callable[[Backend, str, Versions], Awaitable[object]]
USER_CALLS: dict[str, UserCall] = {
    "update": lambda b, id_, versions: b.users.update(
        id_, UserChanges.model_validate(OTHER_USER), versions=versions
    ),
    "update nothing": lambda b, id_, versions: b.users.update(id_, UserChanges(), versions=versions),
    "end sessions": lambda b, id_, versions: b.users.update(
        id_, UserChanges(), versions=versions, end_sessions=True
    ),
}

item_calls = pytest.mark.parametrize("call", ITEM_CALLS.values(), ids=ITEM_CALLS)
user_calls = pytest.mark.parametrize("call", USER_CALLS.values(), ids=USER_CALLS)


async def test_every_change_adds_one_to_the_version(backend: Backend, owner: User) -> None:
    """The version starts at 1. An update with a field adds 1, equal values included; one without adds 0."""
    item = await backend.items.add(new_item(), owner_id=owner.id)
    assert (owner.version, item.version) == (1, 1)

    for number in range(1, 4):
        for _ in range(2):
            assert await backend.users.update(owner.id, UserChanges()) == owner
            assert await backend.items.update(item.id, ItemChanges()) == item
        owner = await backend.users.update(owner.id, UserChanges(full_name="same", is_active=True))
        item = await backend.items.update(item.id, ItemChanges(title="same", description=None))
        assert (owner.version, item.version) == (number + 1, number + 1)
        assert await all_rows(backend) == ([owner], [item])


async def test_version_counts_the_changes_of_its_own_row(backend: Backend, owner: User, user: User) -> None:
    """A change of an item doesn't change its owner's version, a neighbour's, or the reverse."""
    items = [await backend.items.add(new_item(n), owner_id=owner.id) for n in range(2)]

    changed_item = await backend.items.update(items[0].id, ItemChanges(title="x"))
    changed_owner = await backend.users.update(owner.id, UserChanges(full_name="x"))

    assert (changed_item, changed_owner) == (changed(items[0], title="x"), changed(owner, full_name="x"))
    assert await all_rows(backend) == ([user, changed_owner], [items[1], changed_item])


async def test_refused_change_leaves_the_version(
    backend: Backend, owner: User, user: User, item: Item
) -> None:
    """A refused change doesn't increment the version."""
    with raises(AlreadyExists("user", "email")):
        await backend.users.update(user.id, UserChanges(email=owner.email), versions={3})
    with raises(AlreadyExists("user", "email")):
        await backend.users.update(user.id, UserChanges(email=owner.email), end_sessions=True)
    with raises(NotOwner("item", item.id)):
        await backend.items.update(item.id, ItemChanges(title="x"), owner_id=user.id, versions={3})

    assert await all_rows(backend) == ([user, owner], [item])


@pytest.mark.parametrize("end_sessions", [False, True])
async def test_update_of_user_with_its_version_is_done(
    backend: Backend,
    user: User,
    end_sessions: bool,  # noqa: FBT001
) -> None:
    """Any collection that contains the version is accepted."""
    ended = int(end_sessions)
    for versions in ONE_OF_THEM:
        unchanged = await backend.users.update(user.id, UserChanges(), versions=versions)
        assert unchanged == user
    for _ in range(2):
        expected = changed(user, full_name="x", session_version=user.session_version + ended)
        user = await backend.users.update(
            user.id, UserChanges(full_name="x"), versions={user.version, 99}, end_sessions=end_sessions
        )
        assert user == expected
    assert await all_rows(backend) == ([user], [])


async def test_update_of_item_with_its_version_is_done(backend: Backend, owner: User, item: Item) -> None:
    """Any collection that contains the version is accepted."""
    for versions in ONE_OF_THEM:
        unchanged = await backend.items.update(item.id, ItemChanges(), owner_id=owner.id, versions=versions)
        assert unchanged == item
        again = await backend.items.add(new_item(), owner_id=owner.id)
        for title in ("a", "b", "c"):
            expected = changed(again, title=title)
            versions_now = [version - 3 + again.version for version in versions]
            again = await backend.items.update(again.id, ItemChanges(title=title), versions=versions_now)
            assert again == expected
        await backend.items.delete(again.id, versions=[version + 1 for version in versions])

    assert await all_rows(backend) == ([owner], [item])


@user_calls
async def test_user_of_another_version_raises_version_mismatch(
    backend: Backend, user: User, call: UserCall
) -> None:
    """If the version is not among the expected ones, nothing happens, even for an empty update."""
    for versions in NONE_OF_THEM:
        with raises(VersionMismatch("user", user.id)):
            await call(backend, user.id, versions)

    assert await all_rows(backend) == ([user], [])


@item_calls
async def test_item_of_another_version_raises_version_mismatch(
    backend: Backend, owner: User, item: Item, call: ItemCall
) -> None:
    """If the version is not among the expected ones, nothing happens, even for an empty update."""
    for versions in NONE_OF_THEM:
        for owner_id in (None, owner.id):
            with raises(VersionMismatch("item", item.id)):
                await call(backend, item.id, owner_id, versions)

    assert await all_rows(backend) == ([owner], [item])


async def test_delete_of_user_of_another_version_deletes_nothing(
    backend: Backend, owner: User, item: Item
) -> None:
    """The user and its items stay; with the right version all are deleted."""
    for versions in ([], [2], {2, 3}):
        with (
            refused_without(backend, Capability.TRANSACTIONS, "users.delete"),
            raises(VersionMismatch("user", owner.id)),
        ):
            await backend.users.delete(owner.id, versions=versions)
        assert await all_rows(backend) == ([owner], [item])

    deleted = await delete_user(backend, owner.id, versions=[7, 1])

    assert await all_rows(backend) == (([], []) if deleted else ([owner], [item]))


@user_calls
async def test_unknown_user_is_not_found_whatever_the_version(
    backend: Backend, user: User, call: UserCall
) -> None:
    """NotFound comes before VersionMismatch."""
    for id_ in [UNKNOWN_ID, *malformed_ids(user.id)[:3]]:
        for versions in ([], [1], [3]):
            with raises(NotFound("user", id_)):
                await call(backend, id_, versions)
            with (
                refused_without(backend, Capability.TRANSACTIONS, "users.delete"),
                raises(NotFound("user", id_)),
            ):
                await backend.users.delete(id_, versions=versions)

    assert await all_rows(backend) == ([user], [])


@pytest.mark.rule("E-mail")
@pytest.mark.parametrize("end_sessions", [False, True])
async def test_taken_address_comes_after_not_found_and_another_version(
    backend: Backend,
    owner: User,
    user: User,
    end_sessions: bool,  # noqa: FBT001
) -> None:
    """VersionMismatch comes before the error for a taken address."""
    taken = UserChanges(full_name="x", email=owner.email)
    for versions in ([], [2], {1, 2, 4}):
        with raises(VersionMismatch("user", user.id)):
            await backend.users.update(user.id, taken, versions=versions, end_sessions=end_sessions)
    for id_ in [UNKNOWN_ID, *malformed_ids(user.id)[:3]]:
        for any_version in (None, [], [3]):
            with raises(NotFound("user", id_)):
                await backend.users.update(id_, taken, versions=any_version, end_sessions=end_sessions)
    with raises(AlreadyExists("user", "email")):
        await backend.users.update(user.id, taken, versions=[3], end_sessions=end_sessions)

    assert await all_rows(backend) == ([user, owner], [])


@item_calls
async def test_item_not_found_and_not_owned_come_before_the_version(
    backend: Backend, owner: User, other_user: User, item: Item, call: ItemCall
) -> None:
    """NotFound and NotOwner come before VersionMismatch."""
    for versions in ([], [1], [3]):
        for id_ in [UNKNOWN_ID, *malformed_ids(item.id)[:3]]:
            for owner_id in (None, owner.id):
                with raises(NotFound("item", id_)):
                    await call(backend, id_, owner_id, versions)
        for owner_id in (other_user.id, UNKNOWN_ID, ""):
            with raises(NotOwner("item", item.id)):
                await call(backend, item.id, owner_id, versions)

    assert await all_rows(backend) == ([other_user, owner], [item])


@pytest.mark.rule("Atomicity", "Conflicts")
@pytest.mark.parametrize("callers", [2, 30])
async def test_concurrent_updates_of_one_version_let_one_win(
    backend: Backend, open_another: Opener, user: User, item: Item, callers: int
) -> None:
    """One update succeeds, through either backend; the others change nothing."""
    both = (backend, await open_another())
    for version in (3, 4):
        users, user_errors = await race(
            both[n % 2].users.update(user.id, UserChanges(full_name=f"{n}"), versions={version})
            for n in range(callers)
        )
        items, item_errors = await race(
            both[n % 2].items.update(
                item.id, ItemChanges(title=f"{n}", description=f"{n}"), versions={version}
            )
            for n in range(callers)
        )

        assert user_errors == [facts(VersionMismatch("user", user.id))] * (callers - 1)
        assert item_errors == [facts(VersionMismatch("item", item.id))] * (callers - 1)
        (winner,), (won,) = users, items
        assert winner == changed(user, full_name=winner.full_name)
        assert won == changed(item, title=won.title, description=won.title)
        assert await backend.users.get(user.id) == winner
        assert await backend.items.get(item.id) == won
        user, item = winner, won


@pytest.mark.rule("Atomicity", "Conflicts")
async def test_concurrent_updates_that_follow_the_version_all_succeed(backend: Backend, item: Item) -> None:
    """A caller that reads again after a mismatch succeeds in the end, and no change is lost."""

    async def append(letter: str) -> None:
        for _ in range(MAX_ATTEMPTS):
            now = await backend.items.get(item.id)
            result, _ = await race(
                [
                    backend.items.update(
                        item.id, ItemChanges(title=now.title + letter), versions=[now.version]
                    )
                ]
            )
            if result:
                return
        raise AssertionError("it never succeeded: see Versions in backends.protocols")

    await asyncio.gather(*(append(letter) for letter in "cdefghijkl"))

    end = await backend.items.get(item.id)
    assert end == changed(item, version=13, title=end.title)
    assert sorted(end.title) == list("bcdefghijkl")


@pytest.mark.rule("Atomicity", "Conflicts")
async def test_update_racing_delete_of_one_version_lets_one_win(
    backend: Backend, open_another: Opener, owner: User
) -> None:
    """The item is either updated and kept, or deleted and the update raises NotFound."""
    another = await open_another()
    for number in range(10):
        item = await backend.items.add(new_item(), owner_id=owner.id)
        calls: list[Awaitable[Item | None]] = [
            backend.items.update(item.id, ItemChanges(title="x"), versions={1}),
            another.items.delete(item.id, versions={1}),
        ]

        (result,), (error,) = await race(calls[:: 1 if number % 2 else -1])

        if result is None:
            assert error == facts(NotFound("item", item.id))
        else:
            assert (result, error) == (changed(item, title="x"), facts(VersionMismatch("item", item.id)))
            await backend.items.delete(item.id, versions={2})
        assert await all_rows(backend) == ([owner], [])


@pytest.mark.rule("Atomicity", "Conflicts")
async def test_update_racing_delete_of_one_version_of_a_user_lets_one_win(
    backend: Backend, open_another: Opener
) -> None:
    """The user is either updated with all its items, or both are deleted and the update raises NotFound."""
    another = await open_another()
    for number in range(8):
        user = await backend.users.add(new_user(number))
        items = [await backend.items.add(new_item(n), owner_id=user.id) for n in range(3)]
        calls: list[Awaitable[User | bool]] = [
            backend.users.update(user.id, UserChanges(full_name="x"), versions={1}),
            delete_user_with_retries(another, user.id, versions={1}),
        ]

        results, errors = await race(calls[:: 1 if number % 2 else -1])

        if Capability.TRANSACTIONS not in backend.capabilities:
            assert (sorted(map(str, results)), errors) == (
                sorted(["False", str(changed(user, full_name="x"))]),
                [],
            )
            break
        if results == [True]:
            assert errors == [facts(NotFound("user", user.id))]
        else:
            assert (results, errors) == (
                [changed(user, full_name="x")],
                [facts(VersionMismatch("user", user.id))],
            )
            assert await all_rows(backend) == ([changed(user, full_name="x")], items[::-1])
            assert await delete_user(backend, user.id, versions={2})
        assert await all_rows(backend) == ([], [])


@pytest.mark.rule("Atomicity", "Conflicts")
async def test_concurrent_deletes_of_one_version_let_one_win(backend: Backend, owner: User) -> None:
    """One call deletes; the others raise NotFound."""
    item = await backend.items.add(new_item(), owner_id=owner.id)

    done, errors = await race(backend.items.delete(item.id, versions={1}) for _ in range(20))

    assert (done, errors) == ([None], [facts(NotFound("item", item.id))] * 19)
    assert await all_rows(backend) == ([owner], [])


async def test_end_sessions_adds_one_to_the_session_version(backend: Backend, user: User) -> None:
    """`end_sessions` increments the session version, alone or with other changes; no other change does."""
    alone = await backend.users.update(user.id, UserChanges(), end_sessions=True)
    assert alone == changed(user, session_version=1)

    together = await backend.users.update(
        user.id, UserChanges.model_validate(OTHER_USER), end_sessions=True, versions=[alone.version]
    )
    assert together == changed(alone, session_version=2, **OTHER_USER)

    kept = await backend.users.update(user.id, UserChanges(hashed_password="new"))
    assert kept == changed(together, hashed_password="new")
    assert await all_rows(backend) == ([kept], [])


async def test_end_sessions_of_unknown_user_raises_not_found(backend: Backend, user: User) -> None:
    """An unknown user raises NotFound."""
    for id_ in [UNKNOWN_ID, *malformed_ids(user.id)[:3]]:
        with raises(NotFound("user", id_)):
            await backend.users.update(id_, UserChanges(), end_sessions=True)

    assert await all_rows(backend) == ([user], [])


@pytest.mark.rule("Conflicts")
async def test_concurrent_ends_of_sessions_are_all_counted(
    backend: Backend, open_another: Opener, user: User
) -> None:
    """Concurrent calls are all counted, also during other changes."""
    another = await open_another()
    forms: list[dict[str, Any]] = [{}, {"full_name": "x"}, {"is_active": False}]

    results, errors = await race(
        (backend, another)[n % 2].users.update(
            user.id, UserChanges.model_validate(forms[n % 3]), end_sessions=n % 3 < 2
        )
        for n in range(30)
    )

    assert errors == []
    assert {result.version for result in results} == set(range(4, 34))
    assert {result.session_version for result in results[::3] + results[1::3]} == set(range(1, 21))
    end = await backend.users.get(user.id)
    assert end == changed(user, version=33, session_version=20, full_name="x", is_active=False)
