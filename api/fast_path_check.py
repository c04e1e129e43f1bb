"""Decides whether the fast path is used: only where FastAPI's private parts are as expected."""

from __future__ import annotations

import logging
from collections.abc import Coroutine, Iterable
from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING, Annotated, Any

import fastapi
from fastapi import Depends, FastAPI, Query, Request, Response
from fastapi.routing import APIRoute

from api.preconditions import IfMatch, IfNoneMatch
from api.request_limits import BoundedRequest
from api.routing import Fallback, Route
from api.schemas import ItemListQuery, ItemUpdate

if TYPE_CHECKING:
    from starlette.routing import BaseRoute

    from api.fast_path import FastPath

logger = logging.getLogger(__name__)

_WARNING = (
    "FastAPI %s is not the FastAPI that EitherDB was tested with (%s). The fast path is off: all answers "
    "are the same, but cost more time. Install the version that EitherDB requires."
)


class FastPathBroken(Exception):
    """The fast path does not work with this FastAPI."""


def on_fast_path(routes: Iterable[BaseRoute]) -> list[BaseRoute]:
    """Return the routes, with a fast path where they support one.

    If FastAPI is not as expected, return them as they are and log one warning per process: an upgrade of
    FastAPI makes the service slower, but does not break it.
    """
    routes = list(routes)
    try:
        fast_path = _checked_fast_path()
        return [
            route.with_fast_path(fast_path(route))
            if isinstance(route, Route) and fast_path.supports(route)
            else route
            for route in routes
        ]
    except Exception as exc:  # noqa: BLE001 - whatever it is that FastAPI changed
        _warn(f"{type(exc).__name__}: {exc}")
        return routes


@cache
def _warn(reason: str) -> None:
    logger.warning(_WARNING, fastapi.__version__, reason)


@cache
def _checked_fast_path() -> type[FastPath]:
    """Return the class, after it gave the same answers as FastAPI to sample requests.

    Raises:
        Exception: Of any kind, because a private part of FastAPI is missing or behaves differently.
    """
    fast_path: type[FastPath] = import_module("api.fast_path").FastPath
    route = Route("/sample/{item_id}", _Sample(), methods=["POST"], response_model=ItemUpdate)
    if not fast_path.supports(route):
        raise FastPathBroken("it supports no route")
    fast_route = route.with_fast_path(fast_path(route))
    plain, fast = _application(route), _application(fast_route)
    for query, content, is_ordinary in _SAMPLES:
        if _run(_answers_by_itself(fast_path(route), query, content)) is not is_ordinary:
            raise FastPathBroken("it takes other requests than it should")
        if _run(_messages_of(plain, query, content)) != _run(_messages_of(fast, query, content)):
            raise FastPathBroken("it answers differently from FastAPI")
    return fast_path


_SAMPLES = [
    (b"", b'{"title": "a"}', True),
    (b"limit=3&q=a", b'{"title": "b", "description": null, "unknown": 1}', True),
    (b"limit=1&limit=2", b'{"title": "a"}', False),
    (b"", b'{"title": 1}', False),
]
"""Query, body, and whether the fast path answers it."""


async def _dependency(request: Request, known: IfNoneMatch) -> str:
    return f"{request.method} {known.header}"


class _Sample:
    """An endpoint with all kinds of parameters that the API has.

    It is no function, because FastAPI reads the source of functions, which takes 10 ms.
    """

    async def __call__(
        self,
        item_id: str,
        dependency: Annotated[str, Depends(_dependency)],
        query: Annotated[ItemListQuery, Query()],
        expected: IfMatch,
        body: ItemUpdate,
        response: Response,
    ) -> dict[str, Any]:
        response.headers["ETag"] = f"{item_id} {dependency} {expected.header}"
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


async def _answers_by_itself(fast_path: FastPath, query: bytes, content: bytes) -> bool:
    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": content}

    scope = {**_scope(query), "path_params": {"item_id": "a b"}}
    try:
        await fast_path.answer(BoundedRequest(scope, receive))
    except Fallback:
        return False
    return True


def _run(coroutine: Coroutine[Any, Any, Any]) -> Any:
    """Run a coroutine that waits for nothing, without an event loop: there may be one already."""
    try:
        coroutine.send(None)
    except StopIteration as stop:
        return stop.value
    coroutine.close()
    raise FastPathBroken("it waits where nothing is to be waited for")
