"""How a request finds its route and gets what the route asks for, on top of FastAPI's routing.

FastAPI solves the dependencies of a route anew at each request, which costs more than all the rest of a
small answer (`docs/adr/0012-the-hot-path.md`). What a route needs is known when it is made: `_Plan` has it
written down and serves ordinary requests. What is out of the ordinary, a fault in the request above all, is
left to FastAPI: its answers are the contract.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Awaitable, Callable, Coroutine
from copy import deepcopy
from typing import TYPE_CHECKING, Any, cast

from fastapi import APIRouter, Request, Response, params
from fastapi._compat import ModelField, field_annotation_is_sequence
from fastapi.dependencies.models import Dependant
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from pydantic import BaseModel
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from api.deps import API_PREFIX, check_caller
from api.errors import ALWAYS_POSSIBLE, documented
from api.request_limits import BoundedRequest

if TYPE_CHECKING:
    from starlette.types import Receive, Scope, Send


class OutOfTheOrdinary(Exception):
    """FastAPI has to see to this request itself."""


class Route(APIRoute):
    """Answers ordinary requests by its plan, and leaves all others to FastAPI.

    To them it says who may not call before it says that a body can't be read, which FastAPI finds out
    first. It also bounds how deep a body may be nested.
    """

    def __init__(self, *arguments: Any, **options: Any) -> None:
        """Take what FastAPI's has."""
        super().__init__(*arguments, **options)
        # Starlette's ends in `$`, which matches before a line feed too: `/users/me%0A` is no `/users/me`.
        self.path_regex = re.compile(self.path_regex.pattern.removesuffix("$") + r"\Z")
        self._plan = _Plan(self) if _Plan.suits(self) else None

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request for this path."""
        is_traced = scope.get("fastapi.telemetry") is not None  # in spans that FastAPI makes on its way
        if self._plan is None or is_traced or scope["method"] not in (self.methods or ()):
            await super().handle(scope, receive, send)
            return
        request = BoundedRequest(scope, receive)
        try:
            response = await self._plan.answer(request)
        except OutOfTheOrdinary:
            await super().handle(scope, request.receive_again, send)
        else:
            await response(scope, receive, send)

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Return what answers a request that is out of the ordinary."""
        handle = super().get_route_handler()
        guards = [dependency.call for dependency in self.dependant.dependencies]

        async def answer(request: Request) -> Response:
            request = BoundedRequest(request.scope, request.receive)
            try:
                return await handle(request)
            except (RequestValidationError, HTTPException) as exc:
                if _is_unreadable(exc):
                    await check_caller(request, guards)
                raise

        return answer


def make_router(tag: str, path: str = "") -> APIRouter:
    """Make the router of the routes below a path of the API.

    Its routes are the application's own: FastAPI walks through an included router twice a request.
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


class _Parameter:
    """A path's, query's or header's part that a function takes; or a model of the whole query."""

    def __init__(self, field: ModelField, where: str) -> None:
        self.name = field.name
        self._field = field
        self._where = where
        self._is_model = _is_model(field)

    @staticmethod
    def suits(field: ModelField) -> bool:
        """Tell whether it is, or has, single values under names of their own."""
        if not _is_model(field):
            return not field_annotation_is_sequence(field.field_info.annotation)
        model = cast("type[BaseModel]", field.field_info.annotation)
        return not any(
            info.alias or info.validation_alias or field_annotation_is_sequence(info.annotation)
            for info in model.model_fields.values()
        )

    def read(self, request: Request) -> Any:
        """Return its value.

        Raises:
            OutOfTheOrdinary: It is not valid, or is there more than once.
        """
        given = getattr(request, self._where)
        if self._is_model:
            value = dict(given)
            if len(value) != len(given.multi_items()):
                raise OutOfTheOrdinary
        else:
            value = given.get(self._field.alias)
            if value is None:
                if self._field.field_info.is_required():
                    raise OutOfTheOrdinary
                return deepcopy(self._field.default)
        value, errors = self._field.validate(value, loc=())
        if errors:
            raise OutOfTheOrdinary
        return value


def _is_model(field: ModelField) -> bool:
    annotation = field.field_info.annotation
    return inspect.isclass(annotation) and issubclass(annotation, BaseModel)


class _Call:
    """A function, a route's or a dependency's, and where its arguments come from."""

    def __init__(self, dependant: Dependant) -> None:
        self.function = cast("Callable[..., Awaitable[Any]]", dependant.call)
        self._dependencies = [(each.name, _Call(each)) for each in dependant.dependencies]
        # Security schemes take any connection.
        self._request = dependant.request_param_name or dependant.http_connection_param_name
        self._parameters = [
            _Parameter(field, where)
            for where, fields in (
                ("path_params", dependant.path_params),
                ("query_params", dependant.query_params),
                ("headers", dependant.header_params),
            )
            for field in fields
        ]

    @staticmethod
    def suits(dependant: Dependant) -> bool:
        """Tell whether there is nothing but what is seen to here."""
        call = dependant.call
        return (
            (inspect.iscoroutinefunction(call) or inspect.iscoroutinefunction(type(call).__call__))
            and all(map(_Parameter.suits, (*dependant.path_params, *dependant.query_params)))
            and all(map(_Parameter.suits, dependant.header_params))
            and not dependant.cookie_params
            and dependant.websocket_param_name is None
            and dependant.background_tasks_param_name is None
            and dependant.security_scopes_param_name is None
            and dependant.concurrency is None
            and dependant.use_cache
            and all(map(_Call.suits, dependant.dependencies))
        )

    async def arguments(self, request: Request, solved: dict[object, Any]) -> dict[str, Any]:
        """Return the arguments; add what dependencies returned to those that are solved.

        Raises:
            OutOfTheOrdinary: A parameter is not valid.
        """
        arguments: dict[str, Any] = {}
        for name, call in self._dependencies:
            function = call.function
            if function not in solved:
                solved[function] = await function(**await call.arguments(request, solved))
            if name is not None:
                arguments[name] = solved[function]
        for parameter in self._parameters:
            arguments[parameter.name] = parameter.read(request)
        if self._request is not None:
            arguments[self._request] = request
        return arguments


class _Plan:
    """What a route does with an ordinary request: the same as FastAPI."""

    def __init__(self, route: APIRoute) -> None:
        dependant = route.dependant
        self._call = _Call(dependant)
        self._body = route.body_field
        self._body_name = dependant.body_params[0].name if dependant.body_params else ""
        self._response_name = dependant.response_param_name
        assert route.response_field is not None  # noqa: S101 - for the type checker: see `suits`
        self._shown = route.response_field

    @staticmethod
    def suits(route: APIRoute) -> bool:
        """Tell whether the route asks for nothing else."""
        dependant = route.dependant
        takes_json = route.body_field is None or type(route.body_field.field_info) is params.Body
        return (
            _Call.suits(dependant)
            and takes_json
            and not route._embed_body_fields  # noqa: SLF001 - FastAPI tells nowhere else
            and route.response_field is not None
            and route.status_code is None
        )

    async def answer(self, request: Request) -> Response:
        """Answer the request.

        Raises:
            OutOfTheOrdinary: FastAPI has to; nothing has been done yet.
        """
        sent = None if self._body is None else await _json(request)
        arguments = await self._call.arguments(request, {})
        if self._body is not None:
            arguments[self._body_name], errors = self._body.validate(sent, loc=("body",))
            if errors:
                raise OutOfTheOrdinary
        headers = None
        if self._response_name is not None:
            arguments[self._response_name] = headers = Response()
        result = await self._call.function(**arguments)
        if isinstance(result, Response):
            return result
        shown, errors = self._shown.validate(result, loc=("response",))
        if errors:
            raise RuntimeError(f"the answer is not what it is documented to be: {errors}")
        response = Response(self._shown.serialize_json(shown), media_type="application/json")
        if headers is not None:
            response.raw_headers += [each for each in headers.raw_headers if each[0] != b"content-length"]
        return response


async def _json(request: Request) -> Any:
    """Return the body, if it is any that a client of ours sends."""
    if request.headers.get("content-type") != "application/json":
        raise OutOfTheOrdinary
    try:
        body = await request.json()
    except (ValueError, ClientDisconnect) as exc:
        raise OutOfTheOrdinary from exc
    if body is None:
        raise OutOfTheOrdinary
    return body
