"""Ordinary requests take a shorter way through FastAPI, which nobody can tell from the other."""

from __future__ import annotations

import os
from typing import Any

import pytest
from fastapi.routing import APIRoute

from api.app import create_app
from api.routes import accounts, items, login, transfers, users, utils
from api.routing import _Plan
from tests.api.service import Account, Service

LONG_WAY = {"login_access_token", "recover_password_html_content", "test_email"}
"""A form, a page, and a status of its own."""


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
