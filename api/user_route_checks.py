"""The checks of a user's routes: what can't be served is refused in one line."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from functools import partial
from types import FunctionType
from typing import TYPE_CHECKING, Any

from fastapi.datastructures import DefaultPlaceholder
from fastapi.routing import APIRoute, RouteContext
from pydantic import BaseModel
from starlette.routing import BaseRoute

from api.deps import RepositoryOf
from api.resources.own_models import Models, itself
from api.routing import Route
from backends.models.resources import DeclarationError, Resource, ResourceSpec
from backends.models.resources.class_checks import models_in

if TYPE_CHECKING:
    from fastapi.dependencies.models import Dependant

_EMPTY = inspect.Signature.empty
_METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")


def check_route(place: str, context: RouteContext) -> None:
    """Refuse a route that is no plain route of one method."""
    if type(context.original_route) is not APIRoute:
        raise DeclarationError(
            place,
            f"{type(context.original_route).__name__} is not served",
            "declare it by get, post, put, patch or delete of an APIRouter without a route_class",
        )
    try:
        inspect.signature(context.endpoint or list, eval_str=True)
    except NameError as exc:
        raise DeclarationError(
            place, f"an annotation can't be read: {exc}", "define or import it, not for type checkers only"
        ) from None
    if not (context.path or "").startswith("/"):
        raise DeclarationError(place, "the path is empty", 'write one, such as "/books/statistics"')
    methods = sorted(context.methods or ())
    if len(methods) != 1 or methods[0] not in _METHODS:
        raise DeclarationError(
            place,
            f"a route of {', '.join(methods) or 'no method'} is not served",
            f"write one route for each of {', '.join(_METHODS)}",
        )


def check_repositories(place: str, route: Route, served: Sequence[type[Resource]]) -> None:
    """Refuse a repository of a class that is not served, and one in a function that can't await it."""
    for each in _with_dependencies(route.dependant):
        call = each.call
        if isinstance(call, RepositoryOf) and call.resource not in served:
            raise DeclarationError(
                place,
                f"Repository[{call.resource.__name__}] has no rows: the class is not declared",
                "import it in the module that RESOURCES names",
            )
        takes_one = any(isinstance(needed.call, RepositoryOf) for needed in each.dependencies)
        is_async = inspect.iscoroutinefunction(call) or inspect.isasyncgenfunction(call)
        if takes_one and isinstance(call, FunctionType) and not is_async:
            raise DeclarationError(
                place, f"{call.__name__} is no coroutine, and takes a repository", "write async def"
            )


def _with_dependencies(dependant: Dependant) -> list[Dependant]:
    return [dependant, *(inner for each in dependant.dependencies for inner in _with_dependencies(each))]


def check_response(place: str, route: Route) -> None:
    """Refuse a response that nothing describes, and one in which rows would lose what the server sets."""
    is_described = route.response_field or inspect.signature(route.endpoint).return_annotation is not _EMPTY
    if not is_described and isinstance(route.response_class, DefaultPlaceholder):
        raise DeclarationError(
            place, "it has no return annotation", "write -> Book, or the type that it returns"
        )
    for model in models_in(route.response_model):
        if "__resource__" in vars(model):
            raise DeclarationError(
                place,
                f"a {model.__name__} within another model has no id",
                f"return a {model.__name__}, or a list or dict of them",
            )


def check_body(place: str, route: Route) -> None:
    """Refuse a row as a body in which clients would set what they can't set otherwise."""
    for model in models_in(_body_of(route)):
        spec: ResourceSpec | None = vars(model).get("__resource__")
        hidden = [field.name for field in spec.fields if field.read_only] if spec else []
        if hidden:
            raise DeclarationError(
                place,
                f"clients would set the read-only {hidden[0]} of a {model.__name__}",
                "take a BaseModel with the fields that clients give",
            )


def _body_of(route: APIRoute) -> Any:
    return route.body_field.field_info.annotation if route.body_field else None


def check_models(place: str, route: Route, models: Models) -> None:
    """Refuse a second model of a name: the OpenAPI document would rename both, and break clients."""
    for model in models_of(route):
        if models.setdefault(model.__name__, partial(itself, model))() is not model:
            raise DeclarationError(
                place,
                f"the API has another model of the name {model.__name__}",
                "give the model another name",
            )


def models_of(route: BaseRoute) -> list[type[BaseModel]]:
    """Return the models in the body and in the response of a route."""
    if not isinstance(route, APIRoute):
        return []
    return [*models_in(_body_of(route)), *models_in(route.response_model)]
