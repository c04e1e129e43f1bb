"""Looks at the Python client's answers, whose type is that of any documented body."""

from __future__ import annotations

from typing import TypeVar

from eitherdb_client.models import ErrorBody, ItemsPublic
from eitherdb_client.types import Response

T = TypeVar("T")


def got(kind: type[T], answer: object) -> T:
    """Return the answer as the kind that it must be."""
    assert isinstance(answer, kind), answer
    return answer


def refusal(answer: Response[T]) -> dict[str, object]:
    """Return what a refusal says to programs."""
    return {"status": answer.status_code, "code": got(ErrorBody, answer.parsed).code}


def titles(items: ItemsPublic) -> list[str]:
    """Return the titles of a page."""
    return [item.title for item in items.data]
