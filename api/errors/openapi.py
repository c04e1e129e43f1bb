"""Error responses in the OpenAPI document."""

from __future__ import annotations

from copy import deepcopy
from typing import Any, TypeAlias

from pydantic import BaseModel

from api.errors.problems import Problem


class ErrorBody(BaseModel):
    """An error: a sentence for people and a stable word for programs."""

    detail: str
    code: str


Responses: TypeAlias = dict[int | str, dict[str, Any]]

_ERROR_SCHEMA = {"$ref": f"#/components/schemas/{ErrorBody.__name__}"}

_RETRY_AFTER = {
    "Retry-After": {"description": "Seconds to wait.", "schema": {"type": "integer", "minimum": 0}}
}
_HEADERS: dict[int, dict[str, Any]] = {
    401: {"WWW-Authenticate": {"description": "`Bearer`.", "schema": {"type": "string"}}},
    429: _RETRY_AFTER,
    503: _RETRY_AFTER,
}
"""The headers of every error response with this status code."""


def documented(*problems: Problem, besides: Responses | None = None) -> Responses:
    """Return the `responses` of a route for these problems, with one example each.

    Args:
        problems: The problems.
        besides: Responses to complete. They are not changed.
    """
    responses = deepcopy(besides or {})
    for problem in problems:
        # No `model`: FastAPI would build a validator for each of several hundred responses.
        response = responses.setdefault(
            problem.status,
            {
                "description": "",
                "content": {"application/json": {"examples": {}, "schema": _ERROR_SCHEMA}},
            },
        )
        if headers := _HEADERS.get(problem.status):
            response["headers"] = headers
        response["description"] = "; ".join(filter(None, [response["description"], problem.detail]))
        examples = response["content"]["application/json"]["examples"]
        examples[problem.detail] = {"value": {"detail": problem.detail, "code": problem.code}}
    return responses
