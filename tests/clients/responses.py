"""Typed access to the Python client's responses, whose type is a union of all documented bodies."""

from __future__ import annotations

from typing import TypeVar

from eitherdb_client.models import ErrorBody, ItemsPublic
from eitherdb_client.types import Response

T = TypeVar("T")


def got(kind: type[T], response: object) -> T:
    """Return the response, which must have this type."""
    assert isinstance(response, kind), response
    return response


def error_of(response: Response[T]) -> dict[str, object]:
    """Return the status and code of an error response."""
    return {"status": response.status_code, "code": got(ErrorBody, response.parsed).code}


def titles(items: ItemsPublic) -> list[str]:
    """Return the titles of a page."""
    return [item.title for item in items.data]
