"""ETag, If-None-Match and If-Match, on every operation that shows or changes one user or item."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx2
import pytest

from backends.models import ItemChanges, UserChanges
from tests.api.responses import (
    EMAIL_TAKEN,
    ITEM_NOT_FOUND,
    MESSAGE_PASSWORD_UPDATED,
    NOT_OWNER,
    VERSION_MISMATCH,
    assert_ok,
    assert_refused,
    shown_item,
    was_deleted,
)
from tests.api.routes import PROTECTED, Route, Scene
from tests.api.service import Account, Service, as_json

READS = [
    route
    for route in PROTECTED
    if route.operation
    in {
        "users-read_user_me",
        "users-read_user_by_id",
        "items-read_item",
    }
]
CHANGES = [
    route
    for route in PROTECTED
    if route.operation
    in {
        "users-update_user_me",
        "users-update_user",
        "items-patch_item",
        "items-update_item",
    }
]
DELETIONS = [
    route
    for route in PROTECTED
    if route.operation
    in {
        "users-delete_user_me",
        "users-delete_user",
        "items-delete_item",
    }
]
PASSWORD_CHANGE = next(route for route in PROTECTED if route.operation == "users-update_password_me")
GUARDED = [*CHANGES, *DELETIONS, PASSWORD_CHANGE]
STRANGE = ['"x"', '"', "x", "", '""', 'W/""', '"-1"', ",", '"6b033b863d1ef9f35065c8d0-9"', "é", '"' * 1000]


def altered(tag: str) -> list[str]:
    """Return a tag and what proxies that compress make of it."""
    inner = tag.strip('"')
    suffixes = ("-gzip", "-br", "-zstd", "-deflate", "-gunzip", "--gzip", ";gzip", ";br")
    return [tag, f"W/{tag}", *(f'{weak}"{inner}{suffix}"' for suffix in suffixes for weak in ("", "W/"))]


async def etag_of(scene: Scene, route: Route) -> str:
    """Return the tag of what the route changes."""
    path = "/users/me" if route is PASSWORD_CHANGE else scene.path(route)
    return str((await scene.caller(route).get(path)).headers["ETag"])


async def send(scene: Scene, route: Route, if_match: str) -> httpx2.Response:
    """Call the route with this precondition."""
    arguments: dict[str, Any] = {} if route.body is None else as_json(route.body)
    headers = {**arguments.pop("headers", {}), "If-Match": if_match}
    return await scene.caller(route).request(route.method, scene.path(route), headers=headers, **arguments)


async def touch(scene: Scene, route: Route) -> None:
    """Change what the route changes, past the API."""
    backend = scene.service.backend
    if "{item_id}" in route.path:
        await backend.items.update(scene.item.id, ItemChanges(description="touched"))
    else:
        user = scene.other if route.access == "superuser" else scene.user
        await backend.users.update(user.id, UserChanges(full_name="touched"))


@pytest.mark.parametrize("route", READS, ids=str)
async def test_read_gives_a_strong_tag_that_changes_with_every_change(scene: Scene, route: Route) -> None:
    """The same as long as nothing changes, another afterwards, and never a weak one."""
    tags = []
    for _ in range(3):
        first, again = await scene.send(route), await scene.send(route)
        assert first.headers["ETag"] == again.headers["ETag"]
        assert first.headers["ETag"].startswith('"')
        assert first.headers["Cache-Control"] == "private, no-cache"
        tags.append(first.headers["ETag"])
        await touch(scene, route)
    assert len(set(tags)) == 3


@pytest.mark.parametrize("route", READS, ids=str)
async def test_read_of_what_the_client_has_is_a_304(scene: Scene, route: Route) -> None:
    """Without a body and with the tag; altered tags, lists and `*` count (RFC 9110, 13.1.2)."""
    path, caller = scene.path(route), scene.caller(route)
    answer = await caller.get(path)
    tag = answer.headers["ETag"]
    for known in (*altered(tag), f'"x", {tag}', f'"x",W/{tag} , "y"', f'"a,b", {tag}', "*"):
        unchanged = await caller.get(path, headers={"If-None-Match": known})
        assert (unchanged.status_code, unchanged.content) == (304, b"")
        assert unchanged.headers["ETag"] == tag
    lines = [("If-None-Match", '"x"'), ("If-None-Match", tag)]
    assert (await caller.get(path, headers=lines)).status_code == 304
    for other in STRANGE:
        fresh = await caller.get(path, headers={b"If-None-Match": other.encode()})
        assert_ok(fresh, answer.json())
    await touch(scene, route)
    assert (await caller.get(path, headers={"If-None-Match": tag})).status_code == 200


async def test_tag_tells_users_apart(scene: Scene) -> None:
    """`/users/me` shows different users, and one's tag is not another's."""
    tags = {(await account.http.get("/users/me")).headers["ETag"] for account in (scene.user, scene.other)}
    assert len(tags) == 2


@pytest.mark.parametrize("route", CHANGES, ids=str)
async def test_change_gives_the_tag_for_the_next_change(scene: Scene, route: Route) -> None:
    """So that a client can go on without reading again; a creation does the same."""
    tag = await etag_of(scene, route)
    for _ in range(3):
        answer = await send(scene, route, tag)
        assert answer.status_code == 200
        assert answer.headers["ETag"] != tag
        tag = answer.headers["ETag"]
    assert tag == await etag_of(scene, route)


async def test_creation_gives_the_tag(scene: Scene) -> None:
    """Of items and of users, however they are made."""
    item = await scene.user.http.post("/items/", json={"title": "New"})
    again = await scene.user.http.get(f"/items/{item.json()['id']}")
    assert item.headers["ETag"] == again.headers["ETag"]
    body = {"email": "new@example.com", "password": "s3cret-new"}
    for caller, path in ((scene.service.anyone, "/users/signup"), (scene.superuser.http, "/users/")):
        user = await caller.post(path, **as_json({**body, "email": f"{len(path)}@example.com"}))
        again = await scene.superuser.http.get(f"/users/{user.json()['id']}")
        assert user.headers["ETag"] == again.headers["ETag"]


@pytest.mark.parametrize("route", GUARDED, ids=str)
async def test_change_of_what_has_changed_is_a_412(scene: Scene, route: Route) -> None:
    """Nothing happens; neither does anything with a tag that is not quite the present one."""
    tag = await etag_of(scene, route)
    await touch(scene, route)
    before = await scene.stored()
    other_id = f'"{scene.superuser.id}-1"'
    now = (await etag_of(scene, route)).strip('"')
    similar = (f'"{now}-x"', f'"{now}-"', f'"x-{now}"', f'"{now}0"', f'"{now},{now}"', f'"a"{now}"b"', now)
    for refused in (*altered(tag), other_id, *similar, *(each for each in STRANGE if each.isascii())):
        assert_refused(await send(scene, route, refused), VERSION_MISMATCH)
    assert await scene.stored() == before


async def test_change_with_a_tag_that_a_proxy_altered_happens(scene: Scene) -> None:
    """Weakened or with the encoding in it, it still says which version the client has seen."""
    for position in range(len(altered('"x"'))):
        form = altered(await etag_of(scene, CHANGES[0]))[position]
        assert (await send(scene, CHANGES[0], form)).status_code == 200, form
        assert_refused(await send(scene, CHANGES[0], form), VERSION_MISMATCH)


@pytest.mark.parametrize("route", [*CHANGES, DELETIONS[-1]], ids=str)
async def test_change_of_what_is_as_expected_happens(scene: Scene, route: Route) -> None:
    """One of the tags is enough, and `*` stands for any."""
    conditions = ["{}", '"x", {}', 'W/"y",{} ,"z"', '"a,b", W/{}', "*"]
    for condition in conditions[: 1 if route in DELETIONS else None]:
        answer = await send(scene, route, condition.format(await etag_of(scene, route)))
        assert answer.status_code == 200, answer.text


@pytest.mark.parametrize("route", [*DELETIONS[:-1], PASSWORD_CHANGE], ids=str)
async def test_change_of_an_account_that_is_as_expected_happens(scene: Scene, route: Route) -> None:
    """Its password, and its end."""
    answer = await send(scene, route, await etag_of(scene, route))
    if route is PASSWORD_CHANGE:
        assert_ok(answer, MESSAGE_PASSWORD_UPDATED)
    else:
        was_deleted(answer, scene.service.backend)


async def test_empty_change_is_checked_too(scene: Scene) -> None:
    """`{}` changes nothing, and yet says whether the client's copy is the present one."""
    path = f"/items/{scene.item.id}"
    tag = (await scene.user.http.get(path)).headers["ETag"]
    same = await scene.user.http.patch(path, json={}, headers={"If-Match": tag})
    assert_ok(same, shown_item(scene.item))
    assert same.headers["ETag"] == tag
    assert_refused(
        await scene.user.http.patch(path, json={}, headers={"If-Match": '"x"'}), VERSION_MISMATCH
    )


async def test_other_refusals_come_before_the_precondition(scene: Scene) -> None:
    """Who may not, or whatever is not there, learns nothing of versions."""
    stale = {"If-Match": '"x"'}
    for method in ("PUT", "PATCH", "DELETE"):
        arguments: dict[str, Any] = {} if method == "DELETE" else {"json": {"title": "x"}}
        own = await scene.other.http.request(method, f"/items/{scene.item.id}", headers=stale, **arguments)
        assert_refused(own, NOT_OWNER)
        gone = await scene.user.http.request(method, "/items/x", headers=stale, **arguments)
        assert_refused(gone, ITEM_NOT_FOUND)
    taken = {"email": scene.other.user.email}
    tag = (await scene.user.http.get("/users/me")).headers["ETag"]
    answer = await scene.user.http.patch("/users/me", json=taken, headers={"If-Match": tag})
    assert_refused(answer, EMAIL_TAKEN)


@pytest.mark.parametrize("route", CHANGES, ids=str)
async def test_concurrent_changes_with_one_tag_let_one_win(scene: Scene, route: Route) -> None:
    """However many: exactly one is done, and it is the one that is stored."""
    tag = await etag_of(scene, route)
    answers = await asyncio.gather(*(send(scene, route, tag) for _ in range(12)))
    assert sorted(answer.status_code for answer in answers) == [200, *[412] * 11]
    (won,) = [answer for answer in answers if answer.status_code == 200]
    assert won.headers["ETag"] == await etag_of(scene, route)


async def test_concurrent_change_and_deletion_with_one_tag_let_one_win(
    service: Service, user: Account
) -> None:
    """Either the change was first and the deletion refused, or the item is gone."""
    for _ in range(8):
        item = await service.item(user)
        path = f"/items/{item.id}"
        headers = {"If-Match": (await user.http.get(path)).headers["ETag"]}
        changed, deleted = await asyncio.gather(
            user.http.patch(path, json={"title": "changed"}, headers=headers),
            user.http.delete(path, headers=headers),
        )
        assert (changed.status_code, deleted.status_code) in {(200, 412), (404, 200)}


async def test_tags_may_come_in_several_lines(scene: Scene) -> None:
    """A list may be split so (RFC 9110, section 5.3): any of its tags will do, wherever it stands."""
    path = f"/items/{scene.item.id}"
    for position in range(3):
        tag = (await scene.user.http.get(path)).headers["ETag"]
        lines = ['"x"', '"y"']
        lines.insert(position, tag)
        known = [("If-None-Match", line) for line in lines]
        assert (await scene.user.http.get(path, headers=known)).status_code == 304
        expected = [("If-Match", line) for line in lines]
        answer = await scene.user.http.patch(path, json={"title": f"{position}"}, headers=expected)
        assert answer.status_code == 200
        assert_refused(
            await scene.user.http.patch(path, json={"title": "x"}, headers=expected), VERSION_MISMATCH
        )
