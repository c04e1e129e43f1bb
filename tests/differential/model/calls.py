"""Calls, and what the API's document says of its operations."""

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
"""The body of a call that has none: null would be one."""


@dataclass(frozen=True, slots=True)
class Operation:
    """What is called: a method and a path, in which `{name}` is for the call to say."""

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
    """A request, in the terms of the document.

    Attributes:
        operation: An `operationId`, or a method and a path that the document does not have.
        token: Of the header Authorization.
        path: The parameters of the path, in their order.
        query: Names and values.
        body: What is sent as JSON.
        form: What is sent as a form instead.
        raw: The bytes that are sent instead of either.
        if_match: The header.
        if_none_match: The header.
        key: The header Idempotency-Key.
        padding: How many bytes longer the headers are than they have to be.
        media: The media type of a body in JSON.
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
        """Return what differs from a call without anything, as it would be written in Python."""
        parts = [f"{each.name}={getattr(self, each.name)!r:.400}" for each in fields(self)]
        defaults = [f"{each.name}={each.default!r:.400}" for each in fields(self)]
        given = [part for part, default in zip(parts, defaults, strict=True) if part != default]
        return f"Call({', '.join(given)})"

    @property
    def method(self) -> str:
        """GET and so on."""
        operation = OPERATIONS.get(self.operation)
        return operation.method if operation else self.operation.partition(" ")[0]

    @property
    def target(self) -> str:
        """The path, without the query, as it was meant: nothing is quoted."""
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
        """Path and query as they are sent."""
        operation = OPERATIONS.get(self.operation)
        path = self.target
        if operation is not None:
            names = [part.partition("}")[0] for part in operation.path.split("{")[1:]]
            quoted = {name: quote(value, safe="") for name, value in zip(names, self.path, strict=True)}
            path = operation.path.format(**quoted)
        return f"{path}?{urlencode(self.query)}" if self.query else path

    @property
    def content(self) -> bytes:
        """The body as it is sent; JSON in ASCII, so that lone surrogates can be sent too."""
        if self.raw is not None:
            return self.raw
        if self.form is not None:
            return urlencode(self.form).encode()
        return b"" if self.body is ABSENT else json.dumps(self.body).encode()

    @property
    def headers(self) -> dict[str, str]:
        """The headers that are sent."""
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
