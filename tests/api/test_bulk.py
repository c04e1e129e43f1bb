"""`POST /items/bulk`: many items in one request, all of them or none."""

from __future__ import annotations

from typing import Any

import pytest

from backends.capabilities import Capability
from backends.ids import is_id
from tests.api.responses import (
    BODY_TOO_LARGE,
    NO_TRANSACTIONS,
    assert_invalid,
    assert_ok,
    assert_refused,
    shown_item,
    shown_time,
)
from tests.api.routes import Scene
from tests.api.service import Account, Service, as_json
from tests.conftest import EVERY_BACKEND

pytestmark = EVERY_BACKEND

MOST = 1000
PATH = "/items/bulk"
NO_ITEMS: dict[str, tuple[object, list[tuple[str | int, ...]]]] = {
    "an empty title": ({"title": ""}, [("title",)]),
    "no title": ({"description": "x"}, [("title",)]),
    "two faults": ({"title": "nul\x00", "description": "x" * 256}, [("title",), ("description",)]),
    "an operator": ({"title": {"$gt": ""}}, [("title",)]),
    "a text": ("title", [()]),
    "a list": ([{"title": "x"}], [()]),
    "null": (None, [()]),
}


def is_able(service: Service) -> bool:
    """Tell whether the server can make many items in one step."""
    return Capability.TRANSACTIONS in service.backend.capabilities


async def test_bulk_returns_the_items_in_their_order(service: Service, user: Account) -> None:
    """Exactly the fields of ItemPublic, made now; lists show them in that order, newest first."""
    now = service.clock.now
    new = [{"title": f"Lamp {n % 3}", "description": (None, "", "Bright")[n % 3]} for n in range(10)]

    answer = await user.http.post(PATH, **as_json({"data": new}))

    if not is_able(service):
        assert_refused(answer, NO_TRANSACTIONS)
        assert await service.all_items() == []
        return
    ids = [item["id"] for item in answer.json()["data"]]
    shown: list[dict[str, Any]] = [
        {"id": id_, **each, "owner_id": user.id, "created_at": shown_time(now)}
        for id_, each in zip(ids, new, strict=True)
    ]
    assert_ok(answer, {"data": shown, "count": 10})
    assert all(map(is_id, ids))
    assert ids == sorted(set(ids))
    listed = await user.http.get("/items/")
    assert_ok(listed, {"data": shown[::-1], "count": 10, "next_cursor": None})
    assert_ok(await user.http.get(f"/items/{ids[3]}"), shown[3])


async def test_bulk_ignores_what_is_not_the_clients_to_say(scene: Scene) -> None:
    """Nobody makes items for another, under an id or at a time of choice."""
    extra = {"id": "0" * 24, "owner_id": scene.other.id, "created_at": "2000-01-01T00:00:00Z"}
    body = {"data": [{"title": "Lamp", **extra}], "count": 7, "next_cursor": "x"}
    for caller in (scene.user, scene.superuser):
        answer = await caller.http.post(PATH, **as_json(body))
        if not is_able(scene.service):
            assert_refused(answer, NO_TRANSACTIONS)
            continue
        stored = (await scene.service.all_items())[0]
        assert_ok(answer, {"data": [shown_item(stored)], "count": 1})
        assert (stored.owner_id, stored.id == "0" * 24) == (caller.id, False)
        assert stored.created_at >= scene.item.created_at


@pytest.mark.parametrize("name", NO_ITEMS)
async def test_bulk_with_one_invalid_item_makes_none(scene: Scene, name: str) -> None:
    """A 422 that says which of them, counted from 0, and what of it."""
    bad, places = NO_ITEMS[name]
    for index in (0, 3, 6):
        items: list[object] = [{"title": f"Lamp {n}"} for n in range(6)]
        items.insert(index, bad)
        answer = await scene.user.http.post(PATH, **as_json({"data": items}))
        assert_invalid(answer, *(("body", "data", index, *place) for place in places))
    assert await scene.service.all_items() == [scene.item]


@pytest.mark.parametrize("data", [None, {}, {"0": {"title": "x"}}, "title", 1, True])
async def test_bulk_without_a_list_is_refused(scene: Scene, data: object) -> None:
    """Nothing else is taken for one."""
    assert_invalid(await scene.user.http.post(PATH, **as_json({"data": data})), ("body", "data"))
    assert_invalid(await scene.user.http.post(PATH, **as_json({"items": []})), ("body", "data"))
    assert await scene.service.all_items() == [scene.item]


async def test_bulk_names_its_bounds(scene: Scene) -> None:
    """None and a thousand and one are refused, in words that say how many there may be."""
    for count, words in ((0, "at least 1 item "), (MOST + 1, f"at most {MOST} items ")):
        for item in ({"title": "x"}, {"title": ""}):
            answer = await scene.user.http.post(PATH, **as_json({"data": [item] * count}))
            assert_invalid(answer, ("body", "data"))
            assert words in answer.json()["detail"][0]["msg"]
    assert await scene.service.all_items() == [scene.item]


async def test_bulk_takes_as_many_as_it_says(service: Service, user: Account) -> None:
    """A thousand items are one request, and no two of them share an id."""
    answer = await user.http.post(PATH, **as_json({"data": [{"title": "Lamp"}] * MOST}))
    if not is_able(service):
        assert_refused(answer, NO_TRANSACTIONS)
        return
    stored = await service.all_items()
    assert len({item.id for item in stored}) == MOST
    assert_ok(answer, {"data": [shown_item(item) for item in stored[::-1]], "count": MOST})


async def test_bulk_is_no_larger_than_any_body(scene: Scene) -> None:
    """However many items there may be, the limit on the size of a body holds."""
    size = scene.service.settings.max_body_bytes // MOST
    answer = await scene.user.http.post(
        PATH, **as_json({"data": [{"title": "Lamp", "x": "x" * size}] * MOST})
    )
    assert_refused(answer, BODY_TOO_LARGE)
    assert await scene.service.all_items() == [scene.item]


async def test_bulk_is_no_item(scene: Scene) -> None:
    """What is done to one item is not done there: no item has that id."""
    for method in ("GET", "PATCH", "PUT", "DELETE"):
        arguments = as_json({"title": "x"}) if method.startswith("P") else {}
        answer = await scene.superuser.http.request(method, PATH, **arguments)
        assert (answer.status_code, answer.json()["detail"]) == (404, "Item not found")
