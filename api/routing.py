"""The route class and the router factory of the API."""

from __future__ import annotations

import re
from collections.abc import Callable, Coroutine
from copy import copy
from typing import TYPE_CHECKING, Any, Self

from fastapi import APIRouter, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException

from api.deps import API_PREFIX, check_caller
from api.errors import ALWAYS_POSSIBLE, documented
from api.request_limits import BoundedRequest

if TYPE_CHECKING:
    from fastapi.dependencies.models import Dependant
    from starlette.types import Receive, Scope, Send

    from api.fast_path import FastPath


class Fallback(Exception):
    """Raised by the fast path for a request that FastAPI has to handle."""


class Route(APIRoute):
    """A FastAPI route with an optional fast path. FastAPI is the fallback.

    FastAPI parses the body before it authenticates the caller. If the body can't be parsed, this route
    authenticates the caller first and then reports the body. It also limits the nesting of JSON.
    """

    fast_path: FastPath | None = None

    def __init__(self, *arguments: Any, **options: Any) -> None:
        """Accept the arguments of `APIRoute`."""
        super().__init__(*arguments, **options)
        # Starlette's pattern mishandles line feeds: `$` matches before one at the end, `.` matches none.
        # `/users/me%0A` is not `/users/me`, and an email address in a path may end with a line feed.
        self.path_regex = re.compile(self.path_regex.pattern.removesuffix("$") + r"\Z", re.DOTALL)

    def with_fast_path(self, fast_path: FastPath) -> Self:
        """Return a copy of this route with the fast path."""
        route = copy(self)
        route.fast_path = fast_path
        return route

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle a request for this path."""
        if self.fast_path is None or scope["method"] not in (self.methods or ()):
            await super().handle(scope, receive, send)
            return
        request = BoundedRequest(scope, receive)
        try:
            response = await self.fast_path.respond(request)
        except Fallback:
            await super().handle(scope, request.replay, send)
        else:
            await response(scope, receive, send)

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Return the handler for requests that the fast path does not handle."""
        handle = super().get_route_handler()

        async def handle_with_limits(request: Request) -> Response:
            request = BoundedRequest(request.scope, request.receive)
            try:
                return await handle(request)
            except (RequestValidationError, HTTPException) as exc:
                if _is_unreadable(exc):
                    await check_caller(request, calls_of(self.dependant))
                raise

        return handle_with_limits


def make_router(tag: str, path: str = "") -> APIRouter:
    """Create a router for a path of the API.

    The application adds its routes to the application's router, because FastAPI traverses an included
    router twice per request.
    """
    return APIRouter(
        prefix=API_PREFIX + path,
        tags=[tag],
        route_class=Route,
        responses=documented(*ALWAYS_POSSIBLE),
        generate_unique_id_function=operation_id,
    )


def operation_id(route: APIRoute) -> str:
    """Return an operation id such as `items-create_item`. Generated clients depend on it."""
    return f"{route.tags[0]}-{route.name}"


def _is_unreadable(exc: RequestValidationError | HTTPException) -> bool:
    if isinstance(exc, HTTPException):
        return exc.status_code == 400
    return any(error["type"] == "json_invalid" for error in exc.errors())


def calls_of(dependant: Dependant) -> set[object]:
    """Return what is called for a route: the endpoint, and its dependencies with theirs."""
    return {dependant.call}.union(*map(calls_of, dependant.dependencies))
