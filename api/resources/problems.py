"""The problems of the routes of a resource."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from copy import copy
from typing import Any

from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from starlette.routing import BaseRoute

from api.errors import Problem, already_exists, documented, still_referenced
from api.resources.names import words
from backends.errors import NotFound, RuleBroken
from backends.models.resources import ResourceSpec


def taken(spec: ResourceSpec) -> Iterator[Problem]:
    """Yield the problem of each unique group."""
    for group in spec.unique:
        yield already_exists(spec.entity, ",".join(group))


def referenced(name: str, specs: Iterable[ResourceSpec]) -> Iterator[Problem]:
    """Yield the problem of each resource with rows that keep a row from being deleted.

    They refer to the row, or to rows that are deleted with it.

    Args:
        name: The resource of the row, or "users".
        specs: The specifications of all resources.
    """
    specs = tuple(specs)
    deleted = _deleted_with(name, specs)
    for spec in specs:
        if any(field.target in deleted and field.on_delete == "restrict" for field in spec.references):
            yield still_referenced(spec.entity)


def _deleted_with(name: str, specs: Sequence[ResourceSpec]) -> set[str | None]:
    """Return the names of the resources of which rows are deleted with a row of this one, and its own."""
    found: set[str | None] = {name}
    while True:
        more = {
            spec.name
            for spec in specs
            if ("users" in found and spec.owned)
            or any(field.target in found and field.on_delete == "cascade" for field in spec.references)
        } - found
        if not more:
            return found
        found |= more


def is_referenced(spec: ResourceSpec, others: Iterable[ResourceSpec]) -> bool:
    """Return whether a resource refers to this one."""
    return any(field.target == spec.name for other in others for field in other.references)


def with_references(routes: Iterable[BaseRoute], specs: Iterable[ResourceSpec]) -> list[BaseRoute]:
    """Return the routes; those that delete a user document the resources whose rows keep the user."""
    problems = list(referenced("users", specs))
    documenting = []
    for route in routes:
        if (
            problems
            and isinstance(route, APIRoute)
            and route.tags == ["users"]
            and "DELETE" in (route.methods or ())
        ):
            # A copy, because the applications of a process share the router of users.
            route = copy(route)  # noqa: PLW2901
            route.responses = documented(*problems, besides=route.responses)
        documenting.append(route)
    return documenting


@contextmanager
def errors_at_fields(
    spec: ResourceSpec,
    bodies: Sequence[Any],
    path: tuple[str | int, ...] = (),
    *,
    changed: str | None = None,
) -> Iterator[None]:
    """Report a reference to a row that does not exist, and a refusal of one of many rows, at their places.

    Args:
        spec: The resource.
        bodies: The bodies of the rows.
        path: The place of the bodies in the body of the request, if it has many.
        changed: The id of the row to change, which may not exist either.

    Raises:
        RequestValidationError: A body refers to a row that does not exist, or a hook refuses one of many.
    """
    try:
        yield
    except RuleBroken as exc:
        for number, body in enumerate(bodies if path else ()):
            if body is exc.new:
                located = [{**each, "loc": ("body", *path, number, *each["loc"])} for each in exc.problems]
                raise RequestValidationError(located) from exc
        raise
    except NotFound as exc:
        if (exc.entity, exc.id) == (spec.entity, changed):
            raise
        for number, body in enumerate(bodies):
            for field in spec.references:
                if getattr(body, field.name, None) == exc.id:
                    place = ("body", *path, number, field.name) if path else ("body", field.name)
                    message = f"No {words(exc.entity)} has this id"
                    error = {"type": "reference_not_found", "loc": place, "msg": message}
                    raise RequestValidationError([error]) from exc
        raise
