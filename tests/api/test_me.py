"""`/users/me`: reading, changing and deleting one's own account."""

from __future__ import annotations

import asyncio
from collections import Counter

from backends.models import Item, User
from tests.api.responses import (
    EMAIL_TAKEN,
    INCORRECT_LOGIN,
    INCORRECT_PASSWORD,
    ITEM_NOT_FOUND,
    MESSAGE_PASSWORD_UPDATED,
    SAME_PASSWORD,
    SELF_DELETION,
    USER_NOT_FOUND,
    assert_invalid,
    assert_ok,
    assert_refused,
    shown_item,
    shown_user,
    was_deleted,
)
from tests.api.routes import Scene
from tests.api.service import PASSWORD, PASSWORD_HASH, SECRET, Account, Service, as_json
from tests.conftest import EVERY_BACKEND

pytestmark = EVERY_BACKEND

OTHER = f"{SECRET}-other"


async def change_me(account: Account, **changes: object) -> dict[str, object]:
    """Change one's account, check that the answer is what is stored, and return it."""
    answer = await account.http.patch("/users/me", **as_json(changes))
    assert answer.status_code == 200, answer.text
    assert_ok(await account.http.get("/users/me"), answer.json())
    shown: dict[str, object] = answer.json()
    return shown


async def test_read_me_returns_ones_own_account(user: Account) -> None:
    """Exactly the fields of UserPublic."""
    shown = shown_user(user.user)
    assert_ok(await user.http.get("/users/me"), shown)
    assert list(shown) == ["id", "email", "is_active", "is_superuser", "full_name", "created_at"]
    assert shown["created_at"] == "2026-11-22T16:25:25.123Z"


async def test_read_me_shows_whole_seconds_with_three_digits(service: Service) -> None:
    """The form of a time does not depend on its value."""
    service.clock.now = service.clock.now.replace(microsecond=0)
    account = await service.user()
    assert (await account.http.get("/users/me")).json()["created_at"] == "2026-11-22T16:25:25.000Z"


async def test_update_me_changes_what_is_given(user: Account) -> None:
    """Absent fields stay, null clears the name, an empty name is one, and nothing is a change too."""
    shown = shown_user(user.user)
    assert await change_me(user, full_name="Ada") == {**shown, "full_name": "Ada"}
    assert await change_me(user) == {**shown, "full_name": "Ada"}
    assert await change_me(user, email="ada@example.com") == {
        **shown,
        "full_name": "Ada",
        "email": "ada@example.com",
    }
    shown["full_name"] = None
    assert await change_me(user, full_name=None) == {**shown, "email": "ada@example.com"}
    assert await change_me(user, full_name="", email="user@example.com") == {**shown, "full_name": ""}


async def test_update_me_keeps_the_password(service: Service, user: Account) -> None:
    """The new address signs in with the old password, the old address no longer."""
    await change_me(user, email="New@Example.com")
    assert (await service.login("new@example.com", PASSWORD)).status_code == 200
    assert_refused(await service.login("user@example.com", PASSWORD), INCORRECT_LOGIN)


async def test_update_me_refuses_an_explicit_null_address(scene: Scene) -> None:
    """The address may stay, but it can't be cleared, nor anything else in the same request."""
    answer = await scene.user.http.patch("/users/me", **as_json({"email": None, "full_name": "Ada"}))
    assert_invalid(answer, ("body", "email"))
    assert_ok(await scene.user.http.get("/users/me"), shown_user(scene.user.user))


async def test_update_me_refuses_the_address_of_another(scene: Scene) -> None:
    """409, in any case of its letters, and the name of the same request is not changed either."""
    before = await scene.stored()
    for spelling in ("other@example.com", "OTHER@Example.com"):
        body = {"email": spelling, "full_name": "Ada"}
        assert_refused(await scene.user.http.patch("/users/me", **as_json(body)), EMAIL_TAKEN)
    assert await scene.stored() == before


async def test_update_me_accepts_ones_own_address(user: Account) -> None:
    """Again or in another case: no conflict with oneself."""
    for spelling in ("user@example.com", "USER@example.com"):
        assert await change_me(user, email=spelling) == shown_user(user.user)


async def test_update_me_ignores_what_is_not_ones_own_to_change(service: Service, user: Account) -> None:
    """No privilege, no id, no time, no hash, no password: mass assignment finds nothing."""
    shown = await change_me(
        user,
        full_name="Ada",
        id="0" * 24,
        is_superuser=True,
        is_active=False,
        created_at="2000-01-01T00:00:00Z",
        hashed_password="x",
        password=OTHER,
    )
    assert shown == shown_user(user.user, full_name="Ada")
    assert [stored.hashed_password for stored in await service.all_users()] == [PASSWORD_HASH]


async def test_update_me_of_many_to_one_address_lets_one_win(service: Service) -> None:
    """Ten users want one address at the same time: one gets it, the others are refused."""
    accounts = [await service.user() for _ in range(10)]
    body = as_json({"email": "wanted@example.com"})
    answers = await asyncio.gather(*(account.http.patch("/users/me", **body) for account in accounts))
    assert Counter(answer.status_code for answer in answers) == {200: 1, 409: 9}
    for answer in answers:
        if answer.status_code == 409:
            assert_refused(answer, EMAIL_TAKEN)
    addresses = [stored.email for stored in await service.all_users()]
    assert addresses.count("wanted@example.com") == 1


async def test_update_password_changes_it(service: Service, user: Account) -> None:
    """The new one signs in, the old one no longer."""
    body = as_json({"current_password": PASSWORD, "new_password": OTHER})
    assert_ok(await user.http.patch("/users/me/password", **body), MESSAGE_PASSWORD_UPDATED)
    assert (await service.login("user@example.com", OTHER)).status_code == 200
    assert_refused(await service.login("user@example.com", PASSWORD), INCORRECT_LOGIN)


async def test_update_password_checks_in_the_documented_order(service: Service, user: Account) -> None:
    """Form, then the current password, then whether the new one is new; each refusal changes nothing."""
    path = "/users/me/password"
    too_short = as_json({"current_password": OTHER, "new_password": "short"})
    assert_invalid(await user.http.patch(path, **too_short), ("body", "new_password"))
    both_wrong = as_json({"current_password": OTHER, "new_password": OTHER})
    assert_refused(await user.http.patch(path, **both_wrong), INCORRECT_PASSWORD)
    wrong = as_json({"current_password": OTHER, "new_password": PASSWORD})
    assert_refused(await user.http.patch(path, **wrong), INCORRECT_PASSWORD)
    same = as_json({"current_password": PASSWORD, "new_password": PASSWORD})
    assert_refused(await user.http.patch(path, **same), SAME_PASSWORD)
    assert [stored.hashed_password for stored in await service.all_users()] == [PASSWORD_HASH]


async def test_update_password_leaves_other_users_alone(scene: Scene) -> None:
    """Only one's own row changes, and only its hash."""
    body = as_json({"current_password": PASSWORD, "new_password": OTHER})
    await scene.user.http.patch("/users/me/password", **body)
    users = await scene.service.all_users()
    assert [shown_user(user) for user in users] == [
        shown_user(account.user) for account in (scene.superuser, scene.other, scene.user)
    ]
    assert [user.hashed_password == PASSWORD_HASH for user in users] == [True, True, False]


async def test_delete_me_takes_the_items_along(scene: Scene) -> None:
    """User and items are gone, the token is nobody's, and others keep theirs."""
    kept = await scene.service.item(scene.other, "Kept")
    answer = await scene.user.http.delete("/users/me")
    if not was_deleted(answer, scene.service.backend):
        assert_ok(await scene.user.http.get(f"/items/{scene.item.id}"), shown_item(scene.item))
        return
    assert_refused(await scene.user.http.get("/users/me"), USER_NOT_FOUND)
    assert_refused(await scene.user.http.delete("/users/me"), USER_NOT_FOUND)
    assert_refused(await scene.superuser.http.get(f"/items/{scene.item.id}"), ITEM_NOT_FOUND)
    assert_refused(await scene.service.login("user@example.com", PASSWORD), INCORRECT_LOGIN)
    assert (await scene.stored())[:2] == [[scene.superuser.user, scene.other.user], [kept]]


async def test_delete_me_frees_the_address(scene: Scene) -> None:
    """Who comes back is another user."""
    if was_deleted(await scene.user.http.delete("/users/me"), scene.service.backend):
        body = as_json({"email": "user@example.com", "password": OTHER})
        answer = await scene.service.anyone.post("/users/signup", **body)
        assert answer.status_code == 200
        assert answer.json()["id"] != scene.user.id
        assert_refused(await scene.user.http.get("/users/me"), USER_NOT_FOUND)


async def test_delete_me_refuses_a_superuser(scene: Scene) -> None:
    """A superuser stays, so that there is one."""
    before = await scene.stored()
    assert_refused(await scene.superuser.http.delete("/users/me"), SELF_DELETION)
    assert await scene.stored() == before


async def test_delete_me_during_creations_leaves_no_item(scene: Scene) -> None:
    """Creating an item during the deletion of its owner is a 200 or a 404, and leaves no orphan."""
    create = [scene.user.http.post("/items/", **as_json({"title": f"{n}"})) for n in range(20)]
    *created, deleted = await asyncio.gather(*create, scene.user.http.delete("/users/me"))
    if was_deleted(deleted, scene.service.backend):
        for answer in created:
            if answer.status_code != 200:
                assert_refused(answer, USER_NOT_FOUND)
        assert await scene.service.all_items() == []


async def test_update_me_keeps_text_as_it_is(user: Account) -> None:
    """No normalisation, no trimming: text comes back code point by code point."""
    for name in ("Zoë", "e\u0301", " Ada ", "😀" * 255, "\u202e\u2028", "a\nb\tc", "$where", "\x01\x7f"):
        assert (await change_me(user, full_name=name))["full_name"] == name


def test_shown_fields_are_all_fields_but_the_hash_and_the_versions() -> None:
    """These tests' own picture of a user and an item keeps up with the domain."""
    assert {*User.__slots__} - {"hashed_password", "version", "session_version"} == {
        "id",
        "email",
        "is_active",
        "is_superuser",
        "full_name",
        "created_at",
    }
    assert {*Item.__resource__.columns} - {"version"} == {
        "id",
        "title",
        "description",
        "owner_id",
        "created_at",
    }
