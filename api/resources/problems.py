"""The problems of the routes of a resource."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from fastapi.exceptions import RequestValidationError

from api.errors import Problem, already_exists, still_referenced
from api.resources.names import words
from backends.errors import NotFound
from backends.models.resources import ResourceSpec


def taken(spec: ResourceSpec) -> Iterator[Problem]:
    """Yield the problem of each unique group."""
    for group in spec.unique:
        yield already_exists(spec.entity, ",".join(group))


def referenced(spec: ResourceSpec, others: Iterable[ResourceSpec]) -> Iterator[Problem]:
    """Yield the problem of each resource with rows that keep a row from being deleted."""
    for other in others:
        if any(field.target == spec.name and field.on_delete == "restrict" for field in other.references):
            yield still_referenced(other.entity)


def is_referenced(spec: ResourceSpec, others: Iterable[ResourceSpec]) -> bool:
    """Return whether a resource refers to this one."""
    return any(field.target == spec.name for other in others for field in other.references)


@contextmanager
def references_of(
    spec: ResourceSpec, bodies: Sequence[Any], path: tuple[str | int, ...] = ()
) -> Iterator[None]:
    """Report a reference to a row that does not exist as a validation error of its field.

    Args:
        spec: The resource.
        bodies: The bodies of the rows.
        path: The place of the bodies in the body of the request, if it has many.

    Raises:
        RequestValidationError: A body refers to a row that does not exist.
    """
    try:
        yield
    except NotFound as exc:
        for number, body in enumerate(bodies):
            for field in spec.references:
                if getattr(body, field.name, None) == exc.id:
                    place = ("body", *path, number, field.name) if path else ("body", field.name)
                    message = f"No {words(exc.entity)} has this id"
                    error = {"type": "reference_not_found", "loc": place, "msg": message}
                    raise RequestValidationError([error]) from exc
        raise
