"""Ordinary requests take a shorter way through FastAPI, which nobody can tell from the other."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from fastapi.routing import APIRoute
from opentelemetry import trace

from api.app import create_app
from api.routes import accounts, items, login, transfers, users, utils
from api.routing import _Plan
from tests.api.service import Account, Service, serve
from tests.provision import Provision

LONG_WAY = {"login_access_token", "recover_password_html_content", "test_email"}
"""A form, a page, and a status of its own."""

OPERATIONS = ("dependencies", "endpoint", "serialization")


def test_all_but_the_unusual_routes_take_the_shorter_way() -> None:
    """A change of FastAPI's, or of a route, could end that in silence."""
    routers = (module.router for module in (login, users, items, accounts, transfers, utils))
    routes = [route for router in routers for route in router.routes if isinstance(route, APIRoute)]
    assert len(routes) > 30
    assert {route.name for route in routes if not _Plan.suits(route)} == LONG_WAY


async def test_both_ways_lead_to_the_same_answer(service: Service, user: Account) -> None:
    """With a charset, which nobody sends, a body is read by FastAPI."""
    del service

    async def answer_of(content_type: str) -> tuple[Any, ...]:
        item = (await user.http.post("/items/", json={"title": "old"})).json()
        answer = await user.http.patch(
            f"/items/{item['id']}",
            content=b'{"title": "n\xc3\xa4w", "unknown": [1]}',
            headers={"Content-Type": content_type, "If-Match": f'"{item["id"]}-1"'},
        )
        body = {**answer.json(), "id": "", "created_at": ""}
        names = [
            (name, "" if name in {"etag", "date"} else value) for name, value in answer.headers.items()
        ]
        return answer.status_code, body, names, answer.headers["ETag"] == f'"{item["id"]}-2"'

    short, long = [
        await answer_of(each) for each in ("application/json", "application/json; charset=utf-8")
    ]
    assert short == long
    assert short[0] == 200
    assert short[-1]


@pytest.mark.parametrize("is_on", [False, True])
async def test_telemetry_is_on_where_the_environment_has_any(
    monkeypatch: pytest.MonkeyPatch, service: Service, *, is_on: bool
) -> None:
    """Whoever runs with OpenTelemetry says so in its variables; nobody else pays for asking."""
    for name in [name for name in os.environ if name.startswith("OTEL_")]:
        monkeypatch.delenv(name)
    if is_on:
        monkeypatch.setenv("OTEL_SERVICE_NAME", "eitherdb")
    app = create_app(service.settings)
    assert {app._telemetry[signal] for signal in ("tracing", "metrics", "logs")} == {is_on}


class _Tracer(trace.Tracer):
    """Notes which spans are begun."""

    def __init__(self) -> None:
        self.begun: list[str] = []

    def start_span(self, name: str, *_: Any, **__: Any) -> trace.Span:
        self.begun.append(name)
        return trace.INVALID_SPAN

    @contextmanager
    def start_as_current_span(  # type: ignore[override] # it is a decorator too
        self, name: str, *_: Any, **__: Any
    ) -> Iterator[trace.Span]:
        self.begun.append(name)
        yield trace.INVALID_SPAN


class _Tracers(trace.TracerProvider):
    """Has one tracer for all."""

    def __init__(self, tracer: _Tracer) -> None:
        self._tracer = tracer

    def get_tracer(self, *_: Any, **__: Any) -> trace.Tracer:
        return self._tracer


async def test_spans_of_a_request_are_whole(provision: Provision, monkeypatch: pytest.MonkeyPatch) -> None:
    """With telemetry on, FastAPI's own spans are those of ordinary requests too."""
    tracer = _Tracer()
    telemetry = {"tracing": True, "metrics": False, "logs": False, "tracer_provider": _Tracers(tracer)}
    monkeypatch.setattr("api.app._telemetry", lambda: telemetry)
    async with serve(provision) as service:
        user = await service.user()
        for content_type in ("application/json", "application/json; charset=utf-8"):
            tracer.begun.clear()
            headers = {"Content-Type": content_type}
            await user.http.post("/items/", content=b'{"title": "a"}', headers=headers)
            assert tracer.begun == ["POST", *(f"fastapi.{each}" for each in OPERATIONS)]


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
