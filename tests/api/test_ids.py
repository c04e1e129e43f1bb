"""Malformed ids are unknown ids, on every route that has one in its path."""

from __future__ import annotations

from urllib.parse import quote

import pytest

from tests.api.responses import (
    ACCOUNT_NOT_FOUND,
    ITEM_NOT_FOUND,
    NO_SUCH_PATH,
    TRANSFER_NOT_FOUND,
    USER_NOT_FOUND,
    USER_TO_CHANGE_NOT_FOUND,
    Refusal,
    assert_refused,
    refusal_to_delete_nobody,
)
from tests.api.routes import PROTECTED, Route, Scene
from tests.api.service import as_json
from tests.conftest import ONE_BACKEND

WITH_ID = [route for route in PROTECTED if "_id}" in route.path]
MALFORMED = [
    "0" * 23,
    "0" * 25,
    "g" * 24,
    "0" * 10_000,
    "\x00",
    "0" * 23 + "\x00",
    "😀",
    "０" * 24,  # noqa: RUF001 - digits to str.isdigit, but no hex digits of ours
    "٠" * 24,  # noqa: RUF001
    "123e4567-e89b-12d3-a456-426614174000",
    '{"$gt": ""}',
    "%",
    "null",
    "0" * 12,
]


async def assert_unknown(scene: Scene, route: Route, encoded_id: str, refusal: Refusal) -> None:
    """Call the route as a superuser with this id and expect this refusal."""
    path = scene.path(route, **dict.fromkeys(("user_id", *scene.ids), encoded_id))
    body = as_json({"title": "Changed", "full_name": "Changed", "amount_minor": 1}) if route.body else {}
    assert_refused(await scene.superuser.http.request(route.method, path, **body), refusal)


def refusal_of_unknown_id(scene: Scene, route: Route) -> Refusal:
    """Return what an id that nothing has is answered with."""
    refusals = {
        "users-read_user_by_id": USER_NOT_FOUND,
        "users-update_user": USER_TO_CHANGE_NOT_FOUND,
        "users-delete_user": refusal_to_delete_nobody(scene.service.backend),
    }
    of_all = {"items": ITEM_NOT_FOUND, "accounts": ACCOUNT_NOT_FOUND, "transfers": TRANSFER_NOT_FOUND}
    return refusals.get(route.operation) or of_all[route.operation.partition("-")[0]]


@pytest.mark.parametrize("route", WITH_ID, ids=str)
async def test_malformed_id_is_an_unknown_one(scene: Scene, route: Route) -> None:
    """404 with the text of an unknown id, never 422 or 500, and nothing changes."""
    before = await scene.stored()
    no_utf8 = ("%FF", "%ED%A0%80")
    for encoded in (*(quote(malformed, safe="") for malformed in MALFORMED), *no_utf8):
        await assert_unknown(scene, route, encoded, refusal_of_unknown_id(scene, route))
    assert await scene.stored() == before


@pytest.mark.parametrize("route", WITH_ID, ids=str)
async def test_id_has_one_spelling(scene: Scene, route: Route) -> None:
    """An existing id in upper case, or with anything around it, is not that id."""
    before = await scene.stored()
    named = [id_ for name, id_ in scene.ids.items() if f"{{{name}}}" in route.path]
    (known,) = named or [scene.other.id]
    assert known.upper() != known
    for near in (known.upper(), f" {known}", f"{known} ", f"{known}\n", f"{known}\x00", f"0{known}"):
        await assert_unknown(scene, route, quote(near, safe=""), refusal_of_unknown_id(scene, route))
    assert await scene.stored() == before


@pytest.mark.parametrize("route", WITH_ID, ids=str)
@ONE_BACKEND
async def test_id_with_a_slash_is_no_path(scene: Scene, route: Route) -> None:
    """An encoded slash is a slash: 404 as well, from the router."""
    before = await scene.stored()
    for encoded in ("a%2Fb", "%2F%2F", "a/b"):
        await assert_unknown(scene, route, encoded, NO_SUCH_PATH)
    assert await scene.stored() == before
