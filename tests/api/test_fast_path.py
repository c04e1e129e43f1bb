"""Ordinary requests are answered on a fast path, which nobody can tell from FastAPI's own."""

from __future__ import annotations

import asyncio
import logging
import sys
from collections.abc import Callable, Iterator
from itertools import count
from typing import Any

import fastapi.routing
import pytest

from api import fast_path_check
from api.app import create_app
from api.routing import Route as ApiRoute
from eitherdb_contract.clock import ManualClock
from tests.api.declared import DECLARED
from tests.api.routes import OPEN, PROTECTED, Route, Scene
from tests.api.service import Service, serve
from tests.conftest import ONE_BACKEND
from tests.provision import Provision, make_settings

WITHOUT_FAST_PATH = {"login_access_token", "recover_password_html_content", "test_email"}
"""A form, a page, and a status of its own."""


def routes_on_the_fast_path(app: fastapi.FastAPI) -> set[str]:
    """Return the names of the routes that have one."""
    return {route.name for route in app.routes if isinstance(route, ApiRoute) and route.fast_path}


def test_all_but_the_unusual_routes_have_a_fast_path(caplog: pytest.LogCaptureFixture) -> None:
    """With the installed FastAPI; a change of FastAPI's, or of a route, could end that in silence."""
    app = create_app(make_settings(), resources=DECLARED)
    names = {route.name for route in app.routes if isinstance(route, ApiRoute)}
    assert len(names) > 60
    assert names - routes_on_the_fast_path(app) == WITHOUT_FAST_PATH
    assert not caplog.records


# -- the same answers ------------------------------------------------------------------------------

JSON = {"Content-Type": "application/json"}
# Sent to every route, one after the other, before the request that it accepts.
VARIANTS: list[dict[str, Any]] = [
    {"params": {"limit": "x"}},
    {"params": [("limit", "1"), ("limit", "2"), ("email_to", "x")]},
    {"params": [("title", "Lamp"), ("limit", "1"), ("title", "x"), ("title", "Lamp")]},
    {"params": [("title", "Lamp"), ("title", "x" * 300)]},
    {"params": {"unknown": "1"}},
    {"headers": {"If-None-Match": "*", "If-Match": '"x"', "Idempotency-Key": "a b"}},
    {"headers": {**JSON, "If-Match": '"x"'}, "content": b'{"title": "x", "full_name": "x"}'},
    {"headers": JSON, "content": b"{"},
    {"headers": JSON, "content": b"null"},
    {"headers": JSON, "content": b'{"title": 1, "email": "x", "amount_minor": 0}'},
    {"headers": {"Content-Type": "text/plain"}, "content": b'{"title": "x"}'},
    {"headers": {"Content-Type": "application/json; charset=utf-8"}, "content": b'{"title": 1}'},
]


@pytest.fixture
async def pair(provision: Provision, service: Service) -> Any:
    """Return an application with the fast path and one without, which give the same ids and times."""
    del service
    numbers = count()

    def reset() -> None:
        nonlocal numbers
        numbers = count()

    def next_id() -> str:
        return f"{next(numbers):024x}"

    options: dict[str, Any] = {"id_source": next_id, "first_superuser": None, "environment": "local"}
    async with (
        serve(provision, clock=ManualClock(), **options) as fast,
        serve(provision, clock=ManualClock(), fast_path=False, **options) as plain,
    ):
        assert not routes_on_the_fast_path(plain.app)
        yield fast, plain, reset


@ONE_BACKEND
async def test_fast_path_gives_the_answers_of_fastapi(provision: Provision, pair: Any) -> None:
    """On every route: status, headers and body, of successes and of every kind of refusal."""
    fast, plain, reset = pair

    async def answers_of(service: Service, route: Route) -> list[Any]:
        await provision.clean()
        reset()
        service.clock.reset()
        scene = await Scene.make(service, route)
        path = scene.path(route)
        asked = [await scene.caller(route).request(route.method, path, **variant) for variant in VARIANTS]
        asked.append(await service.anyone.request(route.method, path))
        asked.append(await service.client("broken").request(route.method, path, content=b"{", headers=JSON))
        asked.append(await scene.caller(route).request(route.method, f"{path}x"))
        if route.method == "GET":
            asked.append(await scene.caller(route).head(path))
        asked.append(await scene.send(route))
        return [(answer.status_code, answer.headers.multi_items(), answer.content) for answer in asked]

    seen = set()
    for route in (*PROTECTED, *OPEN):
        if route.operation.partition("-")[2] in WITHOUT_FAST_PATH:
            continue
        answers = await answers_of(fast, route)
        assert answers == await answers_of(plain, route), route
        assert 200 in {status for status, *_ in answers}
        seen |= {status for status, *_ in answers}
    assert {200, 304, 401, 403, 404, 405, 412, 422} <= seen


# -- FastAPI is not as expected --------------------------------------------------------------------


def without_a_function(monkeypatch: pytest.MonkeyPatch) -> None:
    """A function that the fast path imports has gone."""
    monkeypatch.delattr("fastapi._compat.field_annotation_is_sequence")


def without_a_class(monkeypatch: pytest.MonkeyPatch) -> None:
    """A class that it imports has gone."""
    monkeypatch.delattr("fastapi.dependencies.models.Dependant")


def without_an_attribute(monkeypatch: pytest.MonkeyPatch) -> None:
    """Routes have no longer an attribute that it reads."""
    initialise = fastapi.routing.APIRoute.__init__

    def changed(self: fastapi.routing.APIRoute, *arguments: Any, **options: Any) -> None:
        initialise(self, *arguments, **options)
        del self._embed_body_fields

    monkeypatch.setattr(fastapi.routing.APIRoute, "__init__", changed)


def with_another_signature(monkeypatch: pytest.MonkeyPatch) -> None:
    """A method that it calls takes other arguments; FastAPI calls it rightly."""
    field = sys.modules["fastapi._compat"].ModelField
    validate = field.validate

    def changed(self: Any, value: Any, values: Any = None, *, loc: Any = ()) -> Any:
        if sys._getframe(1).f_globals["__name__"] == "api.fast_path":
            raise TypeError("validate() got an unexpected keyword argument 'loc'")
        return validate(self, value, values or {}, loc=loc)

    monkeypatch.setattr(field, "validate", changed)


def with_other_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    """FastAPI writes JSON in another way."""
    serialize = fastapi.routing.serialize_response

    async def changed(**options: Any) -> Any:
        written = await serialize(**options)
        return written.replace(b":", b": ") if isinstance(written, bytes) else written

    monkeypatch.setattr(fastapi.routing, "serialize_response", changed)


CHANGES = [
    without_a_function,
    without_a_class,
    without_an_attribute,
    with_another_signature,
    with_other_answers,
]


@pytest.fixture
def unchecked(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Let the fast path be imported and checked again, now and afterwards."""
    caches = (fast_path_check._checked_fast_path, fast_path_check._warn)
    for cache in caches:
        cache.cache_clear()
    with monkeypatch.context() as patch:
        patch.delitem(sys.modules, "api.fast_path")
        yield
    for cache in caches:
        cache.cache_clear()


@ONE_BACKEND
@pytest.mark.parametrize("change", CHANGES)
async def test_fast_path_is_off_where_fastapi_is_not_as_expected(
    provision: Provision,
    service: Service,
    unchecked: None,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    change: Callable[[pytest.MonkeyPatch], None],
) -> None:
    """One warning a process, in words for an operator; the service works as ever."""
    del service, unchecked
    change(monkeypatch)
    caplog.set_level(logging.WARNING, "api")
    async with serve(provision) as running:
        create_app(running.settings)
        # The server's settings may be logged too.
        (record,) = [each for each in caplog.records if each.name == "api.fast_path_check"]
        message = record.getMessage()
        assert message.startswith(f"FastAPI {fastapi.__version__} is not the FastAPI ")
        assert "\n" not in message
        assert not routes_on_the_fast_path(running.app)

        user = await running.user()
        item = await user.http.post("/items/", json={"title": "Lamp"})
        assert (item.status_code, item.json()["title"]) == (200, "Lamp")
        path = f"/items/{item.json()['id']}"
        assert (await user.http.patch(path, json={"title": 1})).status_code == 422
        headers = {"If-Match": item.headers["ETag"]}
        changed = await user.http.patch(path, headers=headers, json={"title": "New"})
        assert (changed.status_code, changed.json()["title"]) == (200, "New")
        broken = await running.anyone.post("/items/", content=b"{", headers=JSON)
        assert broken.status_code == 401


# -- disconnections ----------------------------------------------------------------------------------


async def test_server_may_tell_once_that_the_client_is_gone(service: Service) -> None:
    """In the middle of a body: the request ends, and waits for nothing more."""
    messages = iter(
        [{"type": "http.request", "body": b'{"ti', "more_body": True}, {"type": "http.disconnect"}]
    )

    async def receive() -> Any:
        return next(messages, None) or await asyncio.Event().wait()

    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": "POST",
        "scheme": "http",
        "path": "/api/v1/users/signup",
        "query_string": b"",
        "headers": [(b"content-type", b"application/json")],
        "client": ("127.0.0.1", 1),
        "server": ("localhost", 80),
    }
    async with asyncio.timeout(10):
        await service.app(scope, receive, send)
    assert sent[0]["status"] == 400
