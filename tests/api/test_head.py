"""HEAD: the status and headers of GET, without its body (RFC 9110, section 9.3.2)."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from backends.models import NewAccount, NewEntry
from tests.api.responses import NO_SUCH_METHOD
from tests.api.routes import PROTECTED, Route, Scene
from tests.api.service import Account, Service
from tests.conftest import ONE_BACKEND

READS = [route for route in PROTECTED if route.method == "GET"]


async def assert_head_is_like_get(client: Any, path: str, **arguments: Any) -> int:
    """Compare both; return the status."""
    get = await client.get(path, **arguments)
    head = await client.head(path, **arguments)
    assert (head.status_code, head.content) == (get.status_code, b"")
    assert head.headers.multi_items() == get.headers.multi_items()
    if get.content and get.status_code != 200:
        assert head.headers["Content-Length"] == str(len(get.content))
    return int(get.status_code)


@pytest.mark.parametrize("route", READS, ids=str)
@ONE_BACKEND
async def test_head_has_status_and_headers_of_get(scene: Scene, route: Route) -> None:
    """Of successes, and of refusals of every kind; nothing is counted or changed."""
    before = await scene.stored()
    client, path = scene.caller(route), scene.path(route)
    assert await assert_head_is_like_get(client, path) in {200, 404}
    assert await assert_head_is_like_get(scene.service.anyone, path) == 401
    assert await assert_head_is_like_get(scene.service.client("broken"), path) == 403
    known = await assert_head_is_like_get(client, path, headers={"If-None-Match": "*"})
    assert known in ({304, 404} if route.path.endswith("_id}") or route.path == "/users/me" else {200, 304})
    if path.endswith("/"):
        assert await assert_head_is_like_get(client, path, params={"limit": "x"}) == 422
        assert await assert_head_is_like_get(client, path[:-1]) == 307
    else:
        assert await assert_head_is_like_get(client, f"{path}x") in {403, 404}
    assert await scene.stored() == before


async def test_head_works_on_what_is_no_operation(service: Service) -> None:
    """The health check, the documentation and its files, unknown paths; and not where GET does not."""
    host = "http://eitherdb.example"
    for path, status in (
        ("/utils/health-check/", 200),
        ("/openapi.json", 200),
        (f"{host}/docs", 200),
        (f"{host}/docs/assets/swagger-ui.css", 200),
        (f"{host}/docs/assets/unknown", 404),
        ("/unknown", 404),
        ("/login/access-token", 405),
        ("/items/bulk", 401),
    ):
        assert await assert_head_is_like_get(service.anyone, path) == status, path
    answer = await service.anyone.head("/login/access-token")
    assert (answer.status_code, answer.headers["Allow"]) == (NO_SUCH_METHOD.status, "POST")


@ONE_BACKEND
async def test_head_of_a_stream_ends_with_its_headers(service: Service, user: Account) -> None:
    """A statement of any length is not read to its end; no connection stays checked out."""
    accounts = service.backend.accounts
    account = await accounts.add(NewAccount(name="A", currency="EUR"), owner_id=user.id)
    for _ in range(3):
        await accounts.deposit(account.id, NewEntry(amount_minor=1), ordered_by=user.id)
    async with asyncio.timeout(10):
        assert await assert_head_is_like_get(user.http, f"/accounts/{account.id}/statement") == 200
