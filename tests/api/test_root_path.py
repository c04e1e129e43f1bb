"""ROOT_PATH: a service that a reverse proxy shows below a path, which it strips or passes on."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import unquote

import httpx2
import pytest

from api.app import create_app
from backends.capabilities import Capability
from tests.api.responses import NO_SUCH_METHOD, NO_SUCH_PATH, assert_refused
from tests.api.service import Account, Service, serve
from tests.conftest import ONE_BACKEND
from tests.provision import Provision, make_settings

# The last ones begin like paths of the service itself.
ROOT_PATHS = ["/shop", "/a/b.c", "/caf%C3%A9", "/my%20shop", "/api", "/api/v1", "/docs"]
HOST = "https://proxy.example"


class Proxy:
    """A reverse proxy that shows an application below a path, and nothing beside it."""

    def __init__(self, app: Any, root_path: str, *, strips: bool) -> None:
        self._app = app
        self._root_path = unquote(root_path)
        self._strips = strips

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Pass a request on."""
        path = scope["path"]
        assert path.startswith(f"{self._root_path}/"), f"{path} is not below {self._root_path}"
        if self._strips:
            path = path.removeprefix(self._root_path)
        await self._app({**scope, "path": path}, receive, send)


@asynccontextmanager
async def proxied(
    provision: Provision, root_path: str, *, strips: bool
) -> AsyncIterator[tuple[Service, httpx2.AsyncClient]]:
    """Serve behind a proxy; return the service, and a client of the proxy."""
    async with serve(provision, root_path=root_path, first_superuser=None, docs=True) as service:
        proxy = Proxy(service.app, root_path, strips=strips)
        transport = httpx2.ASGITransport(proxy)
        async with httpx2.AsyncClient(transport=transport, base_url=HOST, trust_env=False) as client:
            yield service, client


def headers_of(account: Account) -> dict[str, str]:
    """Return the headers that sign in."""
    return {"Authorization": f"Bearer {account.token}"}


@ONE_BACKEND
@pytest.mark.parametrize("strips", [True, False], ids=["stripped", "passed on"])
@pytest.mark.parametrize("root_path", ROOT_PATHS)
async def test_service_works_below_a_path(
    provision: Provision, service: Service, root_path: str, *, strips: bool
) -> None:
    """Requests on both paths through FastAPI, redirects, refusals; and a key that is repeated elsewhere."""
    user = await service.user()
    async with proxied(provision, root_path, strips=strips) as (_, client):
        client.headers.update(headers_of(user))
        api = f"{root_path}/api/v1"
        made = await client.post(f"{api}/items/", json={"title": "Lamp"})
        assert made.status_code == 200
        item = f"{api}/items/{made.json()['id']}"
        assert (await client.get(item)).json() == made.json()
        form = {"username": user.user.email, "password": "s3cret-horse"}
        assert (await client.post(f"{api}/login/access-token", data=form)).status_code == 200

        for asked, right in (
            (f"{api}/items?limit=1&q=%C3%A4", f"{api}/items/?limit=1&q=%C3%A4"),
            (f"{item}/", item),
            (f"{root_path}/docs/", f"{root_path}/docs"),
        ):
            answer = await client.get(asked, headers={"Host": "evil.example"})
            assert (answer.status_code, answer.headers["Location"]) == (307, right)
            assert (await client.get(right)).status_code == 200

        assert_refused(await client.get(f"{api}/unknown"), NO_SUCH_PATH)
        assert_refused(await client.get(f"{root_path}/unknown"), NO_SUCH_PATH)
        refused = await client.put(f"{api}/items/", json={})
        assert_refused(refused, NO_SUCH_METHOD)
        assert refused.headers["Allow"] == "GET, HEAD, POST"
        origin = {"Origin": "http://localhost:5173", "Access-Control-Request-Method": "GET"}
        assert (await client.options(f"{api}/items/", headers=origin)).status_code == 200

        keyed: dict[str, Any] = {
            "json": {"name": "New", "currency": "EUR"},
            "headers": {"Idempotency-Key": "k"},
        }
        account = await client.post(f"{api}/accounts/", **keyed)
        again = await user.http.post("/accounts/", **keyed)
        if Capability.TRANSACTIONS in service.backend.capabilities:
            assert (again.status_code, again.content) == (200, account.content)


@ONE_BACKEND
@pytest.mark.parametrize("strips", [True, False], ids=["stripped", "passed on"])
@pytest.mark.parametrize("root_path", ROOT_PATHS)
async def test_docs_work_below_a_path(
    provision: Provision, service: Service, root_path: str, *, strips: bool
) -> None:
    """All that the page loads is there, and what it learns of servers leads back through the proxy."""
    del service
    async with proxied(provision, root_path, strips=strips) as (_, client):
        page = await client.get(f"{root_path}/docs")
        urls = re.findall(r"""(?:src=|href=|url: |origin \+ )["']([^"']+)["']""", page.text)
        assert len(urls) == 5
        for url in urls:
            assert url.startswith(f"{root_path}/")
            assert (await client.get(url)).status_code == 200
        document = (await client.get(f"{root_path}/api/v1/openapi.json")).json()
        assert document["servers"] == [{"url": root_path}]
        (scheme,) = document["components"]["securitySchemes"].values()
        token_url = scheme["flows"]["password"]["tokenUrl"]
        assert token_url == f"{root_path}/api/v1/login/access-token"
        assert (await client.post(token_url)).status_code == 422


def test_document_has_a_root_path_where_there_is_one_only() -> None:
    """Everything else in it is the same."""
    plain = create_app(make_settings()).openapi()
    below = create_app(make_settings(root_path="/shop/")).openapi()
    assert "servers" not in plain
    assert below.pop("servers") == [{"url": "/shop"}]
    token_url = '"/shop/api/v1/login/access-token"'
    assert json.dumps(below).count(token_url) == 1
    assert json.loads(json.dumps(below).replace(token_url, token_url.replace("/shop", ""))) == plain


async def test_emails_link_to_the_front_end(provision: Provision, service: Service) -> None:
    """Which is elsewhere: FRONTEND_HOST alone says where."""
    superuser = await service.superuser()
    async with proxied(provision, "/shop", strips=True) as (_, client):
        path = f"/shop/api/v1/password-recovery-html-content/{superuser.user.email}"
        page = await client.post(path, headers=headers_of(superuser))
        assert 'href="http://localhost:5173/reset-password?token=' in page.text
        assert "shop" not in page.text
