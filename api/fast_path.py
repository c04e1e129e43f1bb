"""The fast path: it handles ordinary requests without FastAPI's dependency solver.

FastAPI solves the dependencies of a route on each request. That costs more than the rest of a small
response (`docs/adr/0012-the-hot-path.md`). A `FastPath` computes the needs of a route once. It handles
valid requests only. Every other request falls back to FastAPI, whose error responses are the contract.

This module reads private parts of FastAPI. Only `api.fast_path_check` imports it, and checks them first.
"""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable
from copy import deepcopy
from typing import TYPE_CHECKING, Any, cast

from fastapi import Request, Response, params
from fastapi._compat import ModelField, field_annotation_is_sequence
from fastapi.dependencies.models import Dependant
from fastapi.exceptions import ResponseValidationError
from pydantic import BaseModel
from starlette.requests import ClientDisconnect

from api.routing import Fallback

if TYPE_CHECKING:
    from fastapi.routing import APIRoute


class FastPath:
    """Handles the ordinary requests of one route, with the same responses as FastAPI."""

    def __init__(self, route: APIRoute) -> None:
        dependant = route.dependant
        self._endpoint = _Callable(dependant)
        self._body = route.body_field
        self._body_name = dependant.body_params[0].name if dependant.body_params else ""
        self._response_name = dependant.response_param_name
        assert route.response_field is not None  # noqa: S101 - for the type checker: see `supports`
        self._response_model = route.response_field

    @staticmethod
    def supports(route: APIRoute) -> bool:
        """Return whether the route uses only features that the fast path implements."""
        dependant = route.dependant
        takes_json = route.body_field is None or type(route.body_field.field_info) is params.Body
        return (
            _Callable.supports(dependant)
            and takes_json
            and not route._embed_body_fields  # noqa: SLF001 - not public
            and route.response_field is not None
            and route.status_code is None
        )

    async def respond(self, request: Request) -> Response:
        """Return the response.

        Raises:
            Fallback: FastAPI has to handle the request. The endpoint has not been called.
        """
        body = None if self._body is None else await _read_json(request)
        arguments = await self._endpoint.arguments(request, {})
        if self._body is not None:
            arguments[self._body_name], errors = self._body.validate(body, loc=("body",))
            if errors:
                raise Fallback
        headers = None
        if self._response_name is not None:
            arguments[self._response_name] = headers = Response()
        result = await self._endpoint.function(**arguments)
        if isinstance(result, Response):
            return result
        content, errors = self._response_model.validate(result, loc=("response",))
        if errors:
            raise ResponseValidationError(errors=errors, body=result)  # as FastAPI does
        response = Response(self._response_model.serialize_json(content), media_type="application/json")
        if headers is not None:
            response.raw_headers += [each for each in headers.raw_headers if each[0] != b"content-length"]
        return response


class _Callable:
    """An endpoint or a dependency, and where its arguments come from."""

    def __init__(self, dependant: Dependant) -> None:
        self.function = cast("Callable[..., Awaitable[Any]]", dependant.call)
        self._dependencies = [(each.name, _Callable(each)) for each in dependant.dependencies]
        # Security schemes declare an HTTPConnection.
        self._request_name = dependant.request_param_name or dependant.http_connection_param_name
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
    def supports(dependant: Dependant) -> bool:
        """Return whether the callable and its dependencies use only implemented features."""
        call = dependant.call
        return (
            (inspect.iscoroutinefunction(call) or inspect.iscoroutinefunction(type(call).__call__))
            and all(map(_Parameter.supports, (*dependant.path_params, *dependant.query_params)))
            and all(map(_Parameter.supports, dependant.header_params))
            and not dependant.cookie_params
            and dependant.websocket_param_name is None
            and dependant.background_tasks_param_name is None
            and dependant.security_scopes_param_name is None
            and dependant.concurrency is None
            and dependant.use_cache
            and all(map(_Callable.supports, dependant.dependencies))
        )

    async def arguments(self, request: Request, solved: dict[object, Any]) -> dict[str, Any]:
        """Return the arguments. The results of dependencies are cached in `solved`.

        Raises:
            Fallback: A parameter is invalid.
        """
        arguments: dict[str, Any] = {}
        for name, dependency in self._dependencies:
            function = dependency.function
            if function not in solved:
                solved[function] = await function(**await dependency.arguments(request, solved))
            if name is not None:
                arguments[name] = solved[function]
        for parameter in self._parameters:
            arguments[parameter.name] = parameter.read(request)
        if self._request_name is not None:
            arguments[self._request_name] = request
        return arguments


class _Parameter:
    """A path, query or header parameter, or a model of the whole query."""

    def __init__(self, field: ModelField, where: str) -> None:
        self.name = field.name
        self._field = field
        self._where = where
        self._is_model = _is_model(field)
        self._sequences = frozenset(
            name
            for name, info in (_model_of(field).model_fields.items() if self._is_model else ())
            if field_annotation_is_sequence(info.annotation)
        )

    @staticmethod
    def supports(field: ModelField) -> bool:
        """Return whether the field is a single value, or a model without aliases."""
        if not _is_model(field):
            return not field_annotation_is_sequence(field.field_info.annotation)
        return not any(
            info.alias or info.validation_alias for info in _model_of(field).model_fields.values()
        )

    def read(self, request: Request) -> Any:
        """Return the value.

        Raises:
            Fallback: The value is invalid, or the query repeats a parameter of a single value.
        """
        source = getattr(request, self._where)
        if self._is_model:
            value = dict(source)
            pairs = len(value)
            for name in self._sequences & value.keys():
                value[name] = source.getlist(name)
                pairs += len(value[name]) - 1
            if pairs != len(source.multi_items()):
                raise Fallback
        else:
            value = source.get(self._field.alias)
            if value is None:
                if self._field.field_info.is_required():
                    raise Fallback
                return deepcopy(self._field.default)
        value, errors = self._field.validate(value, loc=())
        if errors:
            raise Fallback
        return value


def _model_of(field: ModelField) -> type[BaseModel]:
    return cast("type[BaseModel]", field.field_info.annotation)


def _is_model(field: ModelField) -> bool:
    annotation = field.field_info.annotation
    return inspect.isclass(annotation) and issubclass(annotation, BaseModel)


async def _read_json(request: Request) -> Any:
    """Return the parsed body if its content type is exactly `application/json`."""
    if request.headers.get("content-type") != "application/json":
        raise Fallback
    try:
        body = await request.json()
    except (ValueError, ClientDisconnect) as exc:
        raise Fallback from exc
    if body is None:
        raise Fallback
    return body
