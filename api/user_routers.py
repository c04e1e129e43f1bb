"""The routers of a user's modules. Their routes are served like those of EitherDB.

They have the same prefix, limits and error responses, and are documented by the same rules.
"""

from __future__ import annotations

import inspect
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager, suppress
from types import ModuleType, NoneType, UnionType
from typing import Any, Union, cast, get_args, get_origin

from fastapi import APIRouter, FastAPI
from fastapi.routing import APIRoute, RouteContext, iter_route_contexts
from starlette.routing import BaseRoute, Match

from api.deps import API_PREFIX, current_user, superuser
from api.errors import ALWAYS_POSSIBLE, NOT_PRIVILEGED, TOKEN_PROBLEMS, documented
from api.resources.forms import forms_of
from api.resources.own_models import own_models
from api.routing import Route, calls_of, operation_id
from api.user_route_checks import (
    check_body,
    check_models,
    check_repositories,
    check_response,
    check_route,
)
from backends.models.resources import DeclarationError, Resource
from backends.models.resources.loading import Declarations
from backends.models.resources.names import shown_path

_OPTIONS = (
    *("status_code", "dependencies", "summary", "description", "response_description", "deprecated"),
    *("name", "operation_id", "response_model_include", "response_model_exclude"),
    *("response_model_by_alias", "response_model_exclude_unset", "response_model_exclude_defaults"),
    *("response_model_exclude_none", "include_in_schema", "response_class", "callbacks", "openapi_extra"),
    *("strict_content_type", "max_body_size"),
)
"""The options of a route that are served as they are."""


def routers_of(declarations: Iterable[Declarations]) -> list[APIRouter]:
    """Return the routers that the modules export.

    Raises:
        DeclarationError: `routers` is no list of routers, or a module has a router and exports none.
    """
    found: list[APIRouter] = []
    for each in declarations:
        exported = vars(each.module).get("routers")
        if exported is None:
            names = [name for name, value in vars(each.module).items() if isinstance(value, APIRouter)]
            if names:
                raise DeclarationError(
                    each.source, f"{names[0]} is not served", f"write routers = [{', '.join(names)}]"
                )
            continue
        if not isinstance(exported, list | tuple):
            kind = "a module" if isinstance(exported, ModuleType) else type(exported).__name__
            raise DeclarationError(
                each.source, f"routers is {kind} and no list", "write routers = [router]"
            )
        for number, router in enumerate(exported):
            if not isinstance(router, APIRouter):
                raise DeclarationError(
                    each.source,
                    f"routers[{number}] is {type(router).__name__} and no APIRouter",
                    "write routers = [router], with router = fastapi.APIRouter()",
                )
        found += exported
    return found


def user_routes(
    routers: Sequence[APIRouter], own: Sequence[BaseRoute], served: Sequence[type[Resource]]
) -> list[Route]:
    """Return the routes of the routers, as the application serves them.

    Args:
        routers: The routers of the user.
        own: The routes of EitherDB and of the resources.
        served: The resources.

    Raises:
        DeclarationError: A route can't be served, or hides another one.
    """
    found: list[Route] = []
    if not routers:
        return found
    models = own_models(served)
    # The id by its rule, because an attribute that FastAPI adds would build the route.
    places: dict[str, str] = {
        operation_id(route): f"EitherDB's {_shown(route)}" for route in own if isinstance(route, Route)
    }
    for router in routers:
        for context in iter_route_contexts(router.routes):
            place = _place_of(context)
            check_route(place, context)
            route = _served(context)
            check_repositories(place, route, served)
            check_response(place, route)
            check_body(place, route)
            check_models(place, route, models)
            for other in own:
                if isinstance(other, Route) and _hides(route, other):
                    raise DeclarationError(
                        place, f"{_shown(route)} hides EitherDB's {_shown(other)}", "give it another path"
                    )
            for earlier in found:
                if _hides(earlier, route):
                    raise DeclarationError(
                        place,
                        f"{_shown(route)} is hidden by {_shown(earlier)}",
                        "declare it first, or give it another path",
                    )
            if route.unique_id in places:
                raise DeclarationError(
                    place,
                    f"{places[route.unique_id]} has the operation id {route.unique_id} too",
                    "give the function another name",
                )
            places[route.unique_id] = _shown(route)
            found.append(route)
    return found


def in_order(routes: Sequence[Route], own: Sequence[BaseRoute]) -> tuple[list[Route], list[Route]]:
    """Return the user's routes that are tried before EitherDB's, and those that are tried after them.

    `/books/statistics` comes before `/books/{book_id}`. The others come last, because each route that is
    tried takes time.
    """
    before = [
        route for route in routes if any(isinstance(other, Route) and _hides(other, route) for other in own)
    ]
    return before, [route for route in routes if route not in before]


@asynccontextmanager
async def lifespan_of(routers: Sequence[APIRouter], app: FastAPI) -> AsyncIterator[dict[str, Any] | None]:
    """Run the lifespans of the routers; yield the state of all, None if there is none."""
    state: dict[str, Any] = {}
    async with AsyncExitStack() as stack:
        for router in routers:
            lifespan: AbstractAsyncContextManager[Any] = router.lifespan_context(app)
            state |= await stack.enter_async_context(lifespan) or {}
        # A server that keeps no state refuses an empty one.
        yield state or None


def _place_of(context: RouteContext) -> str:
    """Return the place of a route's function in the user's code."""
    endpoint = inspect.unwrap(context.endpoint) if context.endpoint else None
    code = getattr(endpoint, "__code__", None)
    if code is None:
        return f"the route {context.path}"
    return f"{shown_path(code.co_filename)}, line {code.co_firstlineno}, {code.co_name}"


def _served(context: RouteContext) -> Route:
    """Return the route as it is served: with the prefix, the limits and the documented problems."""
    path = context.path or ""
    calls = calls_of(context.dependant)
    problems = [*ALWAYS_POSSIBLE]
    if calls & {current_user, superuser}:
        problems += TOKEN_PROBLEMS
    if superuser in calls:
        problems.append(NOT_PRIVILEGED)
    options: Mapping[str, Any] = {name: getattr(context, name) for name in _OPTIONS}
    return Route(
        API_PREFIX + path,
        cast("Callable[..., Any]", context.endpoint),
        methods=context.methods,
        # The first tag is part of the operation id.
        tags=context.tags or [path.split("/")[1]],
        response_model=_public(context.response_model),
        responses={**documented(*problems), **context.responses},
        generate_unique_id_function=operation_id,
        **options,
    )


def _public(annotation: Any) -> Any:
    """Return the response model, with resources as their own routes show them."""
    if isinstance(annotation, type) and issubclass(annotation, Resource):
        return forms_of(annotation).public if "__resource__" in vars(annotation) else annotation
    arguments = get_args(annotation)
    if get_origin(annotation) is list:
        return list.__class_getitem__(_public(*arguments))
    if get_origin(annotation) is dict:
        return dict.__class_getitem__((arguments[0], _public(arguments[1])))
    if get_origin(annotation) in {Union, UnionType}:
        return Union[tuple(each if each is NoneType else _public(each) for each in arguments)]  # noqa: UP007 - made at run time
    return annotation


def _hides(route: Route, other: Route) -> bool:
    """Return whether requests for the other route would reach this one, which is tried first."""
    return any(
        route.matches({"type": "http", "method": method, "path": path})[0] is Match.FULL
        for method in other.methods or ()
        for path in _samples(other)
    )


def _samples(route: Route) -> Iterator[str]:
    """Yield paths that the route serves: with a text, and with digits for a convertor such as `int`."""
    for value in ("a", "1"):
        values = dict.fromkeys(route.param_convertors, value)
        with suppress(ValueError, AssertionError):
            yield route.path_format.format_map(values)


def _shown(route: APIRoute) -> str:
    """Return a route for a message, as its module declares it."""
    return f"{' '.join(sorted(route.methods or ()))} {route.path.removeprefix(API_PREFIX)}"
