"""`/items/`: making, reading, changing and deleting, by owner, other user and superuser."""

from __future__ import annotations

import asyncio
from collections import Counter

import pytest

from backends.ids import is_id, new_id
from backends.models import Item
from tests.api.responses import (
    ITEM_NOT_FOUND,
    MESSAGE_ITEM_DELETED,
    NOT_OWNER,
    assert_invalid,
    assert_ok,
    assert_refused,
    shown_item,
    shown_time,
)
from tests.api.routes import OF_ONE_ITEM, Route, Scene
from tests.api.service import Account, Service, as_json
from tests.conftest import EVERY_BACKEND

pytestmark = EVERY_BACKEND

both_methods = pytest.mark.parametrize("method", ["PUT", "PATCH"])


async def test_create_item_returns_it(service: Service, user: Account) -> None:
    """Exactly the fields of ItemPublic: the caller's, made now; the answer is what is stored."""
    now = service.clock.now
    answer = await user.http.post("/items/", **as_json({"title": "Lamp", "description": "Bright"}))
    item_id = answer.json()["id"]
    assert is_id(item_id)
    shown = {
        "id": item_id,
        "title": "Lamp",
        "description": "Bright",
        "owner_id": user.id,
        "created_at": shown_time(now),
    }
    assert_ok(answer, shown)
    assert_ok(await user.http.get(f"/items/{item_id}"), shown)


async def test_create_item_lets_the_description_be_absent_null_or_empty(
    service: Service, user: Account
) -> None:
    """Absent and null are null; an empty description is one."""
    for given, stored in (({}, None), ({"description": None}, None), ({"description": ""}, "")):
        answer = await user.http.post("/items/", **as_json({"title": "Lamp", **given}))
        assert (answer.status_code, answer.json()["description"]) == (200, stored)
        assert (await service.all_items())[0].description == stored


async def test_create_item_ignores_what_is_not_the_clients_to_say(scene: Scene) -> None:
    """Nobody makes an item for another, under an id or at a time of choice."""
    now = scene.service.clock.now
    extra = {
        "id": "0" * 24,
        "_id": "0" * 24,
        "owner_id": scene.other.id,
        "created_at": "2000-01-01T00:00:00Z",
    }
    for caller in (scene.user, scene.superuser):
        answer = await caller.http.post("/items/", **as_json({"title": "Lamp", **extra}))
        stored = (await scene.service.all_items())[0]
        assert_ok(answer, shown_item(stored))
        assert (stored.owner_id, stored.id == "0" * 24) == (caller.id, False)
        assert stored.created_at >= now


async def test_read_item_returns_it_to_owner_and_superuser(scene: Scene) -> None:
    """The same picture for both."""
    for account in (scene.user, scene.superuser):
        assert_ok(await account.http.get(f"/items/{scene.item.id}"), shown_item(scene.item))


@pytest.mark.parametrize("route", OF_ONE_ITEM, ids=str)
async def test_one_item_is_refused_to_others(scene: Scene, route: Route) -> None:
    """403 for another's item, also with a body that changes nothing; it stays as it is."""
    before = await scene.stored()
    assert_refused(await scene.send(route, caller=scene.other.http), NOT_OWNER)
    if route.body:
        assert_refused(await scene.send(route, {}, caller=scene.other.http), NOT_OWNER)
    assert await scene.stored() == before


@pytest.mark.parametrize("route", OF_ONE_ITEM, ids=str)
async def test_one_item_is_not_found_under_an_unknown_id(scene: Scene, route: Route) -> None:
    """404 for everyone, a superuser included."""
    before = await scene.stored()
    for account in (scene.user, scene.superuser):
        for body in ({}, route.body) if route.body else ({},):
            arguments = as_json(body) if route.body else {}
            path = scene.path(route, item_id=new_id())
            assert_refused(await account.http.request(route.method, path, **arguments), ITEM_NOT_FOUND)
    assert await scene.stored() == before


@both_methods
async def test_update_item_changes_what_is_given(scene: Scene, method: str) -> None:
    """PUT is as partial as PATCH: absent stays, null clears the description, {} changes nothing."""
    shown = shown_item(scene.item)
    path = f"/items/{scene.item.id}"
    for changes in (
        {"title": "Other"},
        {},
        {"description": None},
        {"description": ""},
        {"title": "Both", "description": "Both"},
    ):
        shown.update(changes)
        for account in (scene.user, scene.superuser):
            assert_ok(await account.http.request(method, path, **as_json(changes)), shown)
            assert_ok(await account.http.get(path), shown)


@both_methods
async def test_update_item_refuses_an_explicit_null_title(scene: Scene, method: str) -> None:
    """A title can't be cleared; nothing of the request is done."""
    body = as_json({"title": None, "description": "Other"})
    answer = await scene.user.http.request(method, f"/items/{scene.item.id}", **body)
    assert_invalid(answer, ("body", "title"))
    assert await scene.service.all_items() == [scene.item]


@both_methods
async def test_update_item_ignores_what_is_not_the_clients_to_say(scene: Scene, method: str) -> None:
    """Owner, id and time stay, for a superuser too."""
    extra = {
        "id": "0" * 24,
        "owner_id": scene.other.id,
        "created_at": "2000-01-01T00:00:00Z",
        "$set": {"title": "x"},
    }
    for account in (scene.user, scene.superuser):
        answer = await account.http.request(method, f"/items/{scene.item.id}", **as_json(extra))
        assert_ok(answer, shown_item(scene.item))
    assert await scene.service.all_items() == [scene.item]


@pytest.mark.parametrize("by", ["owner", "superuser"])
async def test_delete_item_removes_it_only(scene: Scene, by: str) -> None:
    """The item is gone, and nothing else; a second time it is not found."""
    account = scene.user if by == "owner" else scene.superuser
    kept: list[Item] = [await scene.service.item(owner) for owner in (scene.user, scene.other)]
    path = f"/items/{scene.item.id}"
    assert_ok(await account.http.delete(path), MESSAGE_ITEM_DELETED)
    assert_refused(await account.http.get(path), ITEM_NOT_FOUND)
    assert_refused(await account.http.delete(path), ITEM_NOT_FOUND)
    assert await scene.service.all_items() == kept[::-1]


async def test_delete_item_many_times_at_once_succeeds_once(scene: Scene) -> None:
    """Of ten concurrent deletions one succeeds and nine find nothing."""
    path = f"/items/{scene.item.id}"
    answers = await asyncio.gather(*(scene.user.http.delete(path) for _ in range(10)))
    assert Counter(answer.status_code for answer in answers) == {200: 1, 404: 9}
    assert await scene.service.all_items() == []


async def test_update_item_many_times_at_once_loses_no_field(scene: Scene) -> None:
    """Concurrent changes of different fields all arrive."""
    path = f"/items/{scene.item.id}"
    answers = await asyncio.gather(
        scene.user.http.patch(path, **as_json({"title": "New title"})),
        scene.superuser.http.patch(path, **as_json({"description": "New description"})),
    )
    assert [answer.status_code for answer in answers] == [200, 200]
    shown = shown_item(scene.item, title="New title", description="New description")
    assert_ok(await scene.user.http.get(path), shown)


async def test_item_keeps_text_as_it_is(user: Account) -> None:
    """No normalisation, no trimming: text comes back code point by code point."""
    for text in ("Zoë", "e\u0301", " Lamp ", "😀" * 255, "\u202e\u2028", "a\nb\tc", "$where", "\x01\x7f"):
        created = await user.http.post("/items/", **as_json({"title": text, "description": text}))
        read = await user.http.get(f"/items/{created.json()['id']}")
        for answer in (created, read):
            assert (answer.json()["title"], answer.json()["description"]) == (text, text)
