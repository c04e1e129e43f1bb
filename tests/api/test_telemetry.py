"""OpenTelemetry: FastAPI's own, on where the environment says anything of it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from opentelemetry import trace

from api.app import create_app
from api.routing import Route
from tests.api.service import Service, serve
from tests.provision import Provision

OPERATIONS = ("dependencies", "endpoint", "serialization")


@pytest.mark.parametrize("is_on", [False, True])
async def test_telemetry_is_on_where_the_environment_has_any(
    monkeypatch: pytest.MonkeyPatch, service: Service, *, is_on: bool
) -> None:
    """OpenTelemetry is used only if the environment has one of its variables."""
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
        assert not any(isinstance(route, Route) and route.fast_path for route in service.app.routes)
        user = await service.user()
        for content_type in ("application/json", "application/json; charset=utf-8"):
            tracer.begun.clear()
            headers = {"Content-Type": content_type}
            await user.http.post("/items/", content=b'{"title": "a"}', headers=headers)
            assert tracer.begun == ["POST", *(f"fastapi.{each}" for each in OPERATIONS)]
