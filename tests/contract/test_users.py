"""Users: add, get and delete, and round trips of all fields."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from backends.capabilities import Capability
from backends.errors import AlreadyExists, NotFound
from backends.ids import is_id
from backends.models import NewUser, Page, User
from backends.protocols import Backend
from eitherdb_contract.clock import ManualClock

from .conftest import ManualIds
from .expectations import all_rows, delete_user, raises, refused_without
from .samples import (
    FULL_USER,
    OTHER_USER,
    UNKNOWN_ID,
    hex_id,
    malformed_ids,
    new_item,
    new_user,
)

NULLABLE = {name for name, field in NewUser.model_fields.items() if field.default is None}
ALL_NULL: dict[str, Any] = {**FULL_USER, **dict.fromkeys(NULLABLE)}
REQUIRED: dict[str, Any] = {
    name: FULL_USER[name] for name, field in NewUser.model_fields.items() if field.is_required()
}


@pytest.mark.rule("Null")
@pytest.mark.parametrize("sample", [FULL_USER, OTHER_USER, ALL_NULL], ids=["full", "other", "nulls"])
async def test_add_returns_what_get_returns(backend: Backend, sample: dict[str, Any]) -> None:
    """`add` and each read method return every field as it was given."""
    user = await backend.users.add(NewUser.model_validate(sample))

    expected = User(
        id=user.id,
        created_at=datetime(2026, 11, 22, 16, 25, 25, 123_000, tzinfo=UTC),
        version=1,
        session_version=0,
        **sample,
    )
    assert user == expected
    assert await backend.users.get(user.id) == expected
    assert await backend.users.find_by_email(user.email) == expected
    assert await backend.users.list() == Page.of([expected], count=1, next=None)


@pytest.mark.rule("Null")
async def test_add_fills_in_defaults(backend: Backend) -> None:
    """A field that is left out has the input model's default, not the database's."""
    user = await backend.users.add(NewUser.model_validate(REQUIRED))

    defaults: dict[str, Any] = {"full_name": None, "is_active": True, "is_superuser": False}
    made: dict[str, Any] = {
        "id": user.id,
        "created_at": user.created_at,
        "version": 1,
        "session_version": 0,
    }
    assert user == User(**made, **REQUIRED, **defaults)
    assert await backend.users.get(user.id) == user


@pytest.mark.rule("Identity")
async def test_add_makes_fresh_ids(backend: Backend) -> None:
    """Ids are well-formed and unique."""
    users = [await backend.users.add(new_user(n)) for n in range(5)]

    assert all(is_id(user.id) for user in users)
    assert len({user.id for user in users}) == 5


@pytest.mark.rule("Identity")
@pytest.mark.parametrize("id_", [hex_id(0), hex_id(1), hex_id(2**96 - 1), "0a" * 12, "80" + "00" * 11])
async def test_add_takes_its_id_from_the_source(given_ids: Backend, ids: ManualIds, id_: str) -> None:
    """The id comes from the id source, with any bytes, and finds the user."""
    ids.upcoming = [id_]

    user = await given_ids.users.add(new_user())

    assert user.id == id_
    assert await given_ids.users.get(id_) == user


@pytest.mark.rule("Uniqueness")
async def test_add_refuses_id_in_use(given_ids: Backend, ids: ManualIds) -> None:
    """A duplicate id raises an error about the id; the existing row is unchanged."""
    ids.upcoming = [hex_id(1), hex_id(1)]
    first = await given_ids.users.add(new_user(1))

    with raises(AlreadyExists("user", "id")):
        await given_ids.users.add(new_user(2))

    assert await all_rows(given_ids) == ([first], [])
    assert await given_ids.users.find_by_email("user2@example.com") is None


@pytest.mark.rule("Uniqueness", "E-mail")
async def test_add_refuses_address_in_use(backend: Backend) -> None:
    """A taken address raises an error about the address; the existing user is unchanged."""
    first = await backend.users.add(NewUser.model_validate(FULL_USER))

    with raises(AlreadyExists("user", "email")):
        await backend.users.add(NewUser.model_validate({**OTHER_USER, "email": first.email}))

    assert await all_rows(backend) == ([first], [])


@pytest.mark.rule("Uniqueness", "E-mail")
async def test_add_lets_users_share_all_but_the_address(backend: Backend) -> None:
    """Only the address is unique: names, hashes and times may be equal."""
    first = await backend.users.add(NewUser.model_validate(FULL_USER))
    second = await backend.users.add(NewUser.model_validate({**FULL_USER, "email": "b@example.com"}))

    assert await all_rows(backend) == ([second, first], [])


@pytest.mark.rule("Identity")
async def test_get_of_unknown_id_raises_not_found(backend: Backend, owner: User) -> None:
    """Unknown and malformed ids raise the same error, with the id as it was given."""
    for id_ in [UNKNOWN_ID, *malformed_ids(owner.id)]:
        with raises(NotFound("user", id_)):
            await backend.users.get(id_)


@pytest.mark.rule("Identity")
async def test_get_of_item_id_raises_not_found(backend: Backend, owner: User) -> None:
    """The id of an item is not found as a user."""
    item = await backend.items.add(new_item(), owner_id=owner.id)

    with raises(NotFound("user", item.id)):
        await backend.users.get(item.id)


@pytest.mark.rule("Atomicity")
async def test_delete_removes_the_user(backend: Backend, owner: User, other_user: User) -> None:
    """A deleted user can't be read in any way; other users can."""
    deleted = await delete_user(backend, owner.id)

    assert await all_rows(backend) == ([other_user] if deleted else [other_user, owner], [])
    assert await backend.users.find_by_email(owner.email) == (None if deleted else owner)
    if deleted:
        with raises(NotFound("user", owner.id)):
            await backend.users.get(owner.id)


@pytest.mark.rule("Atomicity")
async def test_delete_twice_raises_not_found(backend: Backend, owner: User) -> None:
    """The second deletion raises NotFound."""
    if await delete_user(backend, owner.id):
        with raises(NotFound("user", owner.id)):
            await backend.users.delete(owner.id)


@pytest.mark.rule("Uniqueness", "E-mail")
async def test_delete_frees_the_address(backend: Backend, owner: User) -> None:
    """The address of a deleted user can be used again, by a new user."""
    deleted = await delete_user(backend, owner.id)

    if deleted:
        again = await backend.users.add(new_user())
        assert again.id != owner.id
        assert await all_rows(backend) == ([again], [])
    else:
        with raises(AlreadyExists("user", "email")):
            await backend.users.add(new_user())


@pytest.mark.rule("Identity")
async def test_delete_of_unknown_id_raises_not_found(backend: Backend, owner: User) -> None:
    """Unknown and malformed ids raise the same error; nothing is deleted."""
    for id_ in [UNKNOWN_ID, *malformed_ids(owner.id)]:
        with (
            refused_without(backend, Capability.TRANSACTIONS, "users.delete"),
            raises(NotFound("user", id_)),
        ):
            await backend.users.delete(id_)

    assert await all_rows(backend) == ([owner], [])


@pytest.mark.rule("Time")
async def test_add_uses_the_clock_once(backend: Backend, clock: ManualClock) -> None:
    """A user's time is the clock's time at the call."""
    before = clock.now

    user = await backend.users.add(new_user())

    assert user.created_at == before
    assert clock.now == before + clock.step
