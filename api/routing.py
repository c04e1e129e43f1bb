"""The route class and the router factory of the API."""

from __future__ import annotations

import re
from collections.abc import Callable, Coroutine
from contextlib import AsyncExitStack
from copy import copy
from typing import TYPE_CHECKING, Any, Self

from fastapi import APIRouter, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException
from starlette.routing import compile_path, get_name

from api.deps import API_PREFIX, check_caller
from api.errors import ALWAYS_POSSIBLE, documented
from api.lean_imports import hidden
from api.request_limits import BoundedRequest

if TYPE_CHECKING:
    from fastapi.dependencies.models import Dependant
    from starlette.types import Receive, Scope, Send

    from api.fast_path import FastPath


class Later:
    """An argument or an annotation of a route that is made when the route is built."""

    def __init__(self, make: Callable[[], Any]) -> None:
        """Store the function that makes the value."""
        self.make = make


def _now(value: Any) -> Any:
    return value.make() if isinstance(value, Later) else value


class Fallback(Exception):
    """Raised by the fast path for a request that FastAPI has to handle."""


class Route(APIRoute):
    """A FastAPI route with an optional fast path. FastAPI is the fallback.

    The route is built when it is first needed: FastAPI's analysis of the endpoint and the validators of
    its body and its response take a sixth of a start (`docs/adr/0012-the-hot-path.md`). What matches a
    request with the route is there from the beginning.

    FastAPI parses the body before it authenticates the caller. If the body can't be parsed, this route
    authenticates the caller first and then reports the body. It also limits the nesting of JSON.
    """

    _fast_path_of: Callable[[Route], FastPath | None] | None = None
    _fast_path: FastPath | None = None
    _original: Route | None = None

    def __init__(self, path: str, endpoint: Callable[..., Any], **options: Any) -> None:
        """Accept the arguments of `APIRoute`, some of which may be `Later`."""
        self._options: dict[str, Any] | None = {"path": path, "endpoint": endpoint, **options}
        self.path, self.endpoint = path, endpoint
        self.name = options.get("name") or get_name(endpoint)
        self.methods = {method.upper() for method in options.get("methods") or ["GET"]}
        self.tags = options.get("tags") or []
        self.responses = options.get("responses") or {}
        self.path_regex, self.path_format, self.param_convertors = compile_path(path)
        # Starlette's pattern mishandles line feeds: `$` matches before one at the end, `.` matches none.
        # `/users/me%0A` is not `/users/me`, and an email address in a path may end with a line feed.
        self.path_regex = re.compile(self.path_regex.pattern.removesuffix("$") + r"\Z", re.DOTALL)

    if not TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any:
            """Build the route, unless it is built, and return the attribute, which was missing before."""
            if self.__dict__.get("_options") is None:
                raise AttributeError(name)
            self._build()
            return getattr(self, name)

    def _build(self) -> None:
        options, self._options = self._options or {}, None
        known = dict(self.__dict__)
        if self._original is not None:
            # The applications of a process share what is built.
            known = {**self._original.built().__dict__, **known}
        else:
            annotations = getattr(self.endpoint, "__annotations__", {})
            annotations |= {
                name: value.make() for name, value in annotations.items() if isinstance(value, Later)
            }
            with hidden("pydantic.v1"):
                super().__init__(**{name: _now(value) for name, value in options.items()})
        self.__dict__.update(known)

    def built(self) -> Self:
        """Return this route, after it is built."""
        if self._options is not None:
            self._build()
        return self

    def with_fast_path(self, fast_path_of: Callable[[Route], FastPath | None]) -> Self:
        """Return a copy of this route, whose fast path the function returns when it is needed."""
        route = copy(self)
        route._original, route._fast_path_of = self, fast_path_of  # noqa: SLF001 - of the same class
        return route

    @property
    def fast_path(self) -> FastPath | None:
        """The fast path; None if FastAPI handles all requests."""
        if self._fast_path_of is not None:
            self._fast_path, self._fast_path_of = self._fast_path_of(self.built()), None
        return self._fast_path

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle a request for this path."""
        fast_path = self.fast_path
        if fast_path is None or scope["method"] not in (self.methods or ()):
            await self._handle_by_fastapi(scope, receive, send)
            return
        request = BoundedRequest(scope, receive)
        try:
            response = await fast_path.respond(request)
        except Fallback:
            await self._handle_by_fastapi(scope, request.replay, send)
        else:
            await response(scope, receive, send)

    async def _handle_by_fastapi(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle a request by FastAPI, which adds uploaded files to this stack."""
        async with AsyncExitStack() as files:
            scope["fastapi_middleware_astack"] = files
            await super().handle(scope, receive, send)

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
