"""`/users/{id}`: what a superuser does with other users, and who may look at whom."""

from __future__ import annotations

from backends.ids import new_id
from tests.api.responses import (
    EMAIL_TAKEN,
    INACTIVE_USER,
    INCORRECT_LOGIN,
    ITEM_NOT_FOUND,
    NOT_PRIVILEGED,
    SELF_DELETION,
    USER_NOT_FOUND,
    USER_TO_CHANGE_NOT_FOUND,
    assert_invalid,
    assert_ok,
    assert_refused,
    shown_item,
    shown_user,
    was_deleted,
)
from tests.api.routes import Scene
from tests.api.service import PASSWORD, PASSWORD_HASH, SECRET, as_json
from tests.conftest import EVERY_BACKEND

pytestmark = EVERY_BACKEND

OTHER = f"{SECRET}-other"


async def test_read_user_returns_oneself_and_anyone_to_a_superuser(scene: Scene) -> None:
    """The same picture of the user for both."""
    for account in (scene.user, scene.other, scene.superuser):
        for reader in (account, scene.superuser):
            assert_ok(await reader.http.get(f"/users/{account.id}"), shown_user(account.user))


async def test_read_user_refuses_others_known_or_not(scene: Scene) -> None:
    """Nobody learns from it which ids exist."""
    for user_id in (scene.other.id, scene.superuser.id, new_id(), "x", scene.user.id.upper(), "ME"):
        assert_refused(await scene.user.http.get(f"/users/{user_id}"), NOT_PRIVILEGED)


async def test_read_user_tells_a_superuser_who_is_unknown(scene: Scene) -> None:
    """404 for an id that nobody has."""
    assert_refused(await scene.superuser.http.get(f"/users/{new_id()}"), USER_NOT_FOUND)


async def test_update_user_changes_what_is_given(scene: Scene) -> None:
    """Absent fields stay, null clears the name, {} changes nothing, and the answer is what is stored."""
    shown = shown_user(scene.other.user)
    path = f"/users/{scene.other.id}"
    for changes in (
        {"full_name": "Ada"},
        {},
        {"email": "Ada@Example.com"},
        {"is_superuser": True},
        {"full_name": None},
        {"full_name": "", "email": "other@example.com", "is_superuser": False},
        {"is_active": False},
        {"is_active": True},
    ):
        shown.update(changes)
        shown["email"] = str(shown["email"]).lower()
        assert_ok(await scene.superuser.http.patch(path, **as_json(changes)), shown)
        assert_ok(await scene.superuser.http.get(path), shown)
    assert {user.hashed_password for user in await scene.service.all_users()} == {PASSWORD_HASH}


async def test_update_user_sets_a_new_password(scene: Scene) -> None:
    """Without the old one; it signs in and the old one no longer does."""
    answer = await scene.superuser.http.patch(f"/users/{scene.other.id}", **as_json({"password": OTHER}))
    assert_ok(answer, shown_user(scene.other.user))
    assert (await scene.service.login("other@example.com", OTHER)).status_code == 200
    assert_refused(await scene.service.login("other@example.com", PASSWORD), INCORRECT_LOGIN)
    assert (await scene.service.login("user@example.com", PASSWORD)).status_code == 200


async def test_update_user_can_lock_an_account(scene: Scene) -> None:
    """Who becomes inactive is out at once."""
    await scene.superuser.http.patch(f"/users/{scene.other.id}", **as_json({"is_active": False}))
    assert_refused(await scene.other.http.get("/users/me"), INACTIVE_USER)
    assert_refused(await scene.service.login("other@example.com", PASSWORD), INACTIVE_USER)


async def test_update_user_refuses_a_taken_address(scene: Scene) -> None:
    """409 in any case of its letters; nothing of the request is done. One's own address is no conflict."""
    before = await scene.stored()
    path = f"/users/{scene.other.id}"
    for spelling in ("user@example.com", "USER@EXAMPLE.COM"):
        body = {"email": spelling, "full_name": "Ada", "password": OTHER, "is_superuser": True}
        assert_refused(await scene.superuser.http.patch(path, **as_json(body)), EMAIL_TAKEN)
    assert await scene.stored() == before
    own = await scene.superuser.http.patch(path, **as_json({"email": "OTHER@example.com"}))
    assert_ok(own, shown_user(scene.other.user))


async def test_update_user_refuses_explicit_nulls(scene: Scene) -> None:
    """Only the name can be cleared."""
    before = await scene.stored()
    body = dict.fromkeys(("email", "password", "is_active", "is_superuser", "full_name"))
    answer = await scene.superuser.http.patch(f"/users/{scene.other.id}", **as_json(body))
    fields = ("email", "password", "is_active", "is_superuser")
    assert_invalid(answer, *(("body", field) for field in fields))
    assert await scene.stored() == before


async def test_update_user_refuses_unknown_ids(scene: Scene) -> None:
    """404 whatever the body is, once it is valid."""
    path = f"/users/{new_id()}"
    for body in ({}, {"full_name": "Ada"}, {"email": "user@example.com"}, {"password": OTHER}):
        assert_refused(await scene.superuser.http.patch(path, **as_json(body)), USER_TO_CHANGE_NOT_FOUND)
    assert_invalid(
        await scene.superuser.http.patch(path, **as_json({"full_name": 1})), ("body", "full_name")
    )


async def test_update_user_ignores_unknown_fields(scene: Scene) -> None:
    """Ids, times and hashes stay what they are."""
    extra = {
        "id": "0" * 24,
        "created_at": "2000-01-01T00:00:00Z",
        "hashed_password": "x",
        "confirm_password": "x",
        "$set": {},
    }
    answer = await scene.superuser.http.patch(f"/users/{scene.other.id}", **as_json(extra))
    assert_ok(answer, shown_user(scene.other.user))
    users, *_ = await scene.stored()
    assert users == [scene.superuser.user, scene.other.user, scene.user.user]


async def test_delete_user_takes_the_items_along(scene: Scene) -> None:
    """User and items are gone, the token is nobody's, and others keep theirs."""
    kept = await scene.service.item(scene.other, "Kept")
    path = f"/users/{scene.user.id}"
    if not was_deleted(await scene.superuser.http.delete(path), scene.service.backend):
        assert_ok(await scene.user.http.get("/users/me"), shown_user(scene.user.user))
        assert_ok(await scene.user.http.get(f"/items/{scene.item.id}"), shown_item(scene.item))
        return
    assert_refused(await scene.user.http.get("/users/me"), USER_NOT_FOUND)
    assert_refused(await scene.superuser.http.get(path), USER_NOT_FOUND)
    assert_refused(await scene.superuser.http.delete(path), USER_NOT_FOUND)
    assert_refused(await scene.superuser.http.get(f"/items/{scene.item.id}"), ITEM_NOT_FOUND)
    assert (await scene.stored())[:2] == [[scene.superuser.user, scene.other.user], [kept]]


async def test_delete_user_refuses_oneself(scene: Scene) -> None:
    """A superuser can delete another superuser, but never himself."""
    before = await scene.stored()
    assert_refused(await scene.superuser.http.delete(f"/users/{scene.superuser.id}"), SELF_DELETION)
    assert await scene.stored() == before
    second = await scene.service.superuser()
    was_deleted(await scene.superuser.http.delete(f"/users/{second.id}"), scene.service.backend)


async def test_delete_user_refuses_who_is_no_superuser(scene: Scene) -> None:
    """Not even oneself by this path."""
    before = await scene.stored()
    for user_id in (scene.user.id, scene.other.id, new_id()):
        assert_refused(await scene.user.http.delete(f"/users/{user_id}"), NOT_PRIVILEGED)
    assert await scene.stored() == before
