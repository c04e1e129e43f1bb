"""Calls, and the operations of the OpenAPI document."""

from __future__ import annotations

import json
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

DOCUMENT: dict[str, Any] = json.loads(
    (Path(__file__).parents[3] / "docs/openapi.json").read_text(encoding="utf-8")
)
PREFIX = "/api/v1"
ABSENT = object()
"""The body of a call without one, because null is a body."""


@dataclass(frozen=True, slots=True)
class Operation:
    """A method and a path, whose `{name}` the call fills in."""

    method: str
    path: str
    outcomes: frozenset[tuple[int, str]]
    """The documented statuses, each with its code; successes and 304 have none."""


def _outcomes(responses: dict[str, Any]) -> frozenset[tuple[int, str]]:
    outcomes = set()
    for status, response in responses.items():
        content = response.get("content", {}).get("application/json", {})
        codes = {example["value"]["code"] for example in content.get("examples", {}).values()}
        if status == "422":
            codes = {"validation_error"}
        outcomes |= {(int(status), code) for code in codes or {""}}
    return frozenset(outcomes)


OPERATIONS: dict[str, Operation] = {
    operation["operationId"]: Operation(method.upper(), path, _outcomes(operation["responses"]))
    for path, methods in DOCUMENT["paths"].items()
    for method, operation in methods.items()
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """A request, in terms of the document.

    Attributes:
        operation: An `operationId`, or a method and a path that are not in the document.
        token: The token of the Authorization header.
        path: The path parameters, in order.
        query: The names and values of the query.
        body: The value of a JSON body.
        form: The fields of a form body.
        raw: The bytes of a body that is neither.
        if_match: The If-Match header.
        if_none_match: The If-None-Match header.
        key: The Idempotency-Key header.
        padding: Extra bytes in the headers.
        media: The media type of a JSON body.
    """

    operation: str
    token: str | None = None
    path: tuple[str, ...] = ()
    query: tuple[tuple[str, str], ...] = ()
    body: object = ABSENT
    form: tuple[tuple[str, str], ...] | None = None
    raw: bytes | None = None
    if_match: str | None = None
    if_none_match: str | None = None
    key: str | None = None
    padding: int = 0
    media: str = "application/json"

    def __str__(self) -> str:
        """Return the call as Python code, without defaults."""
        parts = [f"{each.name}={getattr(self, each.name)!r:.400}" for each in fields(self)]
        defaults = [f"{each.name}={each.default!r:.400}" for each in fields(self)]
        given = [part for part, default in zip(parts, defaults, strict=True) if part != default]
        return f"Call({', '.join(given)})"

    @property
    def method(self) -> str:
        """The HTTP method."""
        operation = OPERATIONS.get(self.operation)
        return operation.method if operation else self.operation.partition(" ")[0]

    @property
    def target(self) -> str:
        """The path without the query, unquoted."""
        operation = OPERATIONS.get(self.operation)
        if operation is None:
            return self.operation.partition(" ")[2]
        filled, values = operation.path, iter(self.path)
        while "{" in filled:
            before, _, rest = filled.partition("{")
            filled = before + next(values).replace("{", "\0") + rest.partition("}")[2]
        return filled.replace("\0", "{")

    @property
    def url(self) -> str:
        """Path and query, quoted."""
        operation = OPERATIONS.get(self.operation)
        path = self.target
        if operation is not None:
            names = [part.partition("}")[0] for part in operation.path.split("{")[1:]]
            quoted = {name: quote(value, safe="") for name, value in zip(names, self.path, strict=True)}
            path = operation.path.format(**quoted)
        return f"{path}?{urlencode(self.query)}" if self.query else path

    @property
    def content(self) -> bytes:
        """The body as bytes. JSON is ASCII, so that lone surrogates can be sent."""
        if self.raw is not None:
            return self.raw
        if self.form is not None:
            return urlencode(self.form).encode()
        return b"" if self.body is ABSENT else json.dumps(self.body).encode()

    @property
    def headers(self) -> dict[str, str]:
        """The request's headers."""
        given = {
            "Authorization": None if self.token is None else f"Bearer {self.token}",
            "If-Match": self.if_match,
            "If-None-Match": self.if_none_match,
            "Idempotency-Key": self.key,
            "X-Padding": "x" * self.padding or None,
        }
        headers = {name: value for name, value in given.items() if value is not None}
        if self.form is not None:
            headers["Content-Type"] = "application/x-www-form-urlencoded"
        elif self.content:
            headers["Content-Type"] = self.media
        return headers
