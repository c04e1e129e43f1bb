"""The start-up check of the fast path: it is used only if FastAPI's private parts are as expected."""

from __future__ import annotations

import logging
from collections.abc import Coroutine, Iterable
from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING, Annotated, Any

import fastapi
from fastapi import Depends, FastAPI, Query, Request, Response
from fastapi.routing import APIRoute
from pydantic import BaseModel

from api.preconditions import IfMatch, IfNoneMatch
from api.request_limits import BoundedRequest
from api.routing import Fallback, Route
from api.schemas import ListQuery

if TYPE_CHECKING:
    from starlette.routing import BaseRoute

    from api.fast_path import FastPath

logger = logging.getLogger(__name__)

_WARNING = (
    "FastAPI %s is not the FastAPI that EitherDB was tested with (%s). The fast path is off: responses "
    "are the same, but take longer. Install the version that EitherDB requires."
)


class FastPathBroken(Exception):
    """The fast path does not work with this FastAPI."""


def on_fast_path(routes: Iterable[BaseRoute]) -> list[BaseRoute]:
    """Return the routes, with a fast path where they support one.

    If FastAPI is not as expected, return the routes unchanged and log one warning per process. So an
    upgrade of FastAPI can make the service slower, but can't break it.
    """
    routes = list(routes)
    try:
        fast_path = _checked_fast_path()
    except Exception as exc:  # noqa: BLE001 - depends on the change in FastAPI
        _warn(f"{type(exc).__name__}: {exc}")
        return routes

    def fast_path_of(route: Route) -> FastPath | None:
        try:
            return fast_path(route) if fast_path.supports(route) else None
        except Exception as exc:  # noqa: BLE001 - depends on the change in FastAPI
            _warn(f"{type(exc).__name__}: {exc}")
            return None

    return [route.with_fast_path(fast_path_of) if isinstance(route, Route) else route for route in routes]


@cache
def _warn(reason: str) -> None:
    logger.warning(_WARNING, fastapi.__version__, reason)


@cache
def _checked_fast_path() -> type[FastPath]:
    """Return the class if its responses to sample requests equal those of FastAPI.

    Raises:
        Exception: A private part of FastAPI is missing or behaves differently. Any class is possible.
    """
    fast_path: type[FastPath] = import_module("api.fast_path").FastPath
    route = Route("/sample/{item_id}", _Sample(), methods=["POST"], response_model=_SampleBody)
    if not fast_path.supports(route):
        raise FastPathBroken("it supports no route")
    fast_route = route.with_fast_path(fast_path)
    plain, fast = _application(route), _application(fast_route)
    for query, content, is_ordinary in _SAMPLES:
        if _run(_handles(fast_path(route), query, content)) is not is_ordinary:
            raise FastPathBroken("it handles a request that should fall back, or the reverse")
        if _run(_messages_of(plain, query, content)) != _run(_messages_of(fast, query, content)):
            raise FastPathBroken("its response differs from that of FastAPI")
    return fast_path


_SAMPLES = [
    (b"", b'{"title": "a"}', True),
    (b"limit=3&q=a", b'{"title": "b", "description": null, "unknown": 1}', True),
    (b"tag=b&limit=3&tag=a", b'{"title": "a"}', True),
    (b"limit=1&limit=2", b'{"title": "a"}', False),
    (b"", b'{"title": 1}', False),
]
"""Query, body, and whether the fast path handles the request."""


class _SampleQuery(ListQuery):
    q: str | None = None
    tag: list[str] | None = None


class _SampleBody(BaseModel):
    title: str | None = None
    description: str | None = None


async def _dependency(request: Request, if_none_match: IfNoneMatch) -> str:
    return f"{request.method} {if_none_match.header}"


class _Sample:
    """An endpoint with each kind of parameter that the API has.

    It is not a function, because FastAPI reads the source of functions, which takes 10 ms.
    """

    async def __call__(
        self,
        item_id: str,
        dependency: Annotated[str, Depends(_dependency)],
        query: Annotated[_SampleQuery, Query()],
        if_match: IfMatch,
        body: _SampleBody,
        response: Response,
    ) -> dict[str, Any]:
        response.headers["ETag"] = f"{item_id} {dependency} {if_match.header}"
        description = query.model_dump_json() + body.model_dump_json(exclude_unset=True)
        return {"title": body.title, "description": description[:255]}


def _application(route: APIRoute) -> FastAPI:
    off: Any = {"tracing": False, "metrics": False, "logs": False}
    application = FastAPI(openapi_url=None, telemetry=off)
    application.router.routes.append(route)
    return application


def _scope(query: bytes) -> dict[str, Any]:
    return {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": "POST",
        "scheme": "http",
        "path": "/sample/a%20b",
        "query_string": query,
        "headers": [(b"content-type", b"application/json"), (b"if-match", b'"x"')],
    }


async def _messages_of(application: FastAPI, query: bytes, content: bytes) -> list[Any]:
    messages: list[Any] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": content}

    async def send(message: Any) -> None:
        messages.append(message)

    await application(_scope(query), receive, send)
    return messages


async def _handles(fast_path: FastPath, query: bytes, content: bytes) -> bool:
    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": content}

    scope = {**_scope(query), "path_params": {"item_id": "a b"}}
    try:
        await fast_path.respond(BoundedRequest(scope, receive))
    except Fallback:
        return False
    return True


def _run(coroutine: Coroutine[Any, Any, Any]) -> Any:
    """Run a coroutine that does not suspend, without an event loop: one may be running already."""
    try:
        coroutine.send(None)
    except StopIteration as stop:
        return stop.value
    coroutine.close()
    raise FastPathBroken("it suspends although there is no I/O")
