"""Routes: how a request finds its route, and in which order it is checked."""

from __future__ import annotations

import re
from collections.abc import Callable, Coroutine
from copy import copy
from typing import TYPE_CHECKING, Any, Self, get_type_hints

from fastapi import APIRouter, Request, Response, params
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException

from api.deps import API_PREFIX, check_caller
from api.errors import ALWAYS_POSSIBLE, documented
from api.request_limits import BoundedRequest

if TYPE_CHECKING:
    from starlette.types import Receive, Scope, Send

    from api.fast_path import FastPath


class Fallback(Exception):
    """The fast path leaves this request to FastAPI."""


class Route(APIRoute):
    """Answers a request on the fast path if it has one, and falls back to FastAPI.

    FastAPI parses a body before it looks at the caller. Here a request whose body can't be parsed is
    refused for its caller first. How deep a body may be nested is bounded.
    """

    fast_path: FastPath | None = None

    def __init__(self, *arguments: Any, **options: Any) -> None:
        """Take the arguments of FastAPI's route."""
        super().__init__(*arguments, **options)
        # Starlette's makes an exception of line feeds: `$` matches before one, and `.` matches none. But
        # `/users/me%0A` is no `/users/me`, and there may be one behind an address.
        self.path_regex = re.compile(self.path_regex.pattern.removesuffix("$") + r"\Z", re.DOTALL)

    def with_fast_path(self, fast_path: FastPath) -> Self:
        """Return a copy of this route that has this fast path."""
        route = copy(self)
        route.fast_path = fast_path
        return route

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request for this path."""
        if self.fast_path is None or scope["method"] not in (self.methods or ()):
            await super().handle(scope, receive, send)
            return
        request = BoundedRequest(scope, receive)
        try:
            response = await self.fast_path.answer(request)
        except Fallback:
            await super().handle(scope, request.receive_again, send)
        else:
            await response(scope, receive, send)

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Return what answers the requests that are left to FastAPI."""
        handle = super().get_route_handler()

        async def answer(request: Request) -> Response:
            request = BoundedRequest(request.scope, request.receive)
            try:
                return await handle(request)
            except (RequestValidationError, HTTPException) as exc:
                if _is_unreadable(exc):
                    await check_caller(request, _dependencies_of(self.endpoint))
                raise

        return answer


def make_router(tag: str, path: str = "") -> APIRouter:
    """Make the router of the routes below a path of the API.

    Its routes are added to the application's own: FastAPI walks through an included router twice a request.
    """
    return APIRouter(
        prefix=API_PREFIX + path,
        tags=[tag],
        route_class=Route,
        responses=documented(*ALWAYS_POSSIBLE),
        generate_unique_id_function=_operation_id,
    )


def _operation_id(route: APIRoute) -> str:
    """Name operations `items-create_item`, on which generated clients depend."""
    return f"{route.tags[0]}-{route.name}"


def _is_unreadable(exc: RequestValidationError | HTTPException) -> bool:
    if isinstance(exc, HTTPException):
        return exc.status_code == 400
    return any(error["type"] == "json_invalid" for error in exc.errors())


def _dependencies_of(endpoint: Callable[..., Any]) -> set[object]:
    """Return the functions that its parameters depend on, read from its annotations."""
    return {
        mark.dependency
        for hint in get_type_hints(endpoint, include_extras=True).values()
        for mark in getattr(hint, "__metadata__", ())
        if isinstance(mark, params.Depends)
    }
