"""Limits on the size of requests, checked before any other code reads them."""

from __future__ import annotations

import json
import re
from email.message import Message
from itertools import accumulate
from typing import TYPE_CHECKING, Any

from fastapi import Request
from starlette.datastructures import FormData
from starlette.exceptions import HTTPException

from api.errors import (
    BODY_TOO_LARGE,
    HEADERS_TOO_LARGE,
    MAX_HEADER_BYTES,
    MAX_JSON_DEPTH,
    MAX_QUERY_BYTES,
    QUERY_TOO_LONG,
    TOO_DEEP,
    UNREADABLE_BODY,
    Problem,
    error_response,
)

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send
    from starlette.types import Message as AsgiMessage


MAX_FORM_BYTES = 16 * 1024
MAX_INTEGER_DIGITS = 400
FORM_CHARSETS = {"utf-8", "utf8", "us-ascii", "ascii", "iso-8859-1", "latin-1", "latin1"}

# Possessive quantifiers: a body without a closing quote takes one pass and no memory.
_STRING = re.compile(rb'"(?:[^"\\]++|\\.)*+"?', re.DOTALL)
_NO_BRACKETS = bytes(set(range(256)) - set(b"[]{}"))
_STEPS = {ord("["): 1, ord("{"): 1, ord("]"): -1, ord("}"): -1}


class RequestLimits:
    """Middleware that rejects requests that are too large, by their headers or while the body is read."""

    def __init__(self, app: ASGIApp, *, max_body_bytes: int) -> None:
        self._app = app
        self._max_body_bytes = max_body_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Run the application or send an error response."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
        elif problem := self._problem_of(scope):
            await error_response(problem)(scope, receive, send)
        else:
            await self._app(scope, self._limited(receive), send)

    def _problem_of(self, scope: Scope) -> Problem | None:
        size = 0
        for name, value in scope["headers"]:
            size += len(name) + len(value)
            if name == b"content-length" and value.isdigit() and int(value[:20]) > self._max_body_bytes:
                return BODY_TOO_LARGE
        if size > MAX_HEADER_BYTES:
            return HEADERS_TOO_LARGE
        return QUERY_TOO_LONG if len(scope["query_string"]) > MAX_QUERY_BYTES else None

    def _limited(self, receive: Receive) -> Receive:
        """Stop a body that exceeds the limit, such as a chunked one without a Content-Length."""
        size = 0

        async def receive_limited() -> AsgiMessage:
            nonlocal size
            message = await receive()
            size += len(message.get("body", b""))
            if size > self._max_body_bytes:
                # Starlette and FastAPI catch other exceptions while they read a body.
                raise HTTPException(BODY_TOO_LARGE.status, BODY_TOO_LARGE.detail)
            return message

        return receive_limited


class BoundedRequest(Request):
    """A request whose body is checked before it is parsed, so that parsing has a bounded cost."""

    _is_replayed = False

    async def json(self) -> Any:
        """Parse the body.

        Raises:
            json.JSONDecodeError: The body is not JSON in UTF-8 (RFC 8259, section 8.1), or nested too deep.
        """
        body = await self.body()
        if json.detect_encoding(body) not in {"utf-8", "utf-8-sig"}:
            raise json.JSONDecodeError("JSON is not in UTF-8", "", 0)
        if _is_too_deep(body):
            raise json.JSONDecodeError(TOO_DEEP, "", 0)
        try:
            return await super().json()
        except (json.JSONDecodeError, UnicodeDecodeError):
            raise
        except ValueError:
            # Python parses at most 4300 digits. More are valid JSON, and the field rejects the value.
            self._json = json.loads(body, parse_int=_truncated)
            return self._json

    async def replay(self) -> AsgiMessage:
        """Receive the request again from its start. It is an ASGI `receive` callable."""
        if hasattr(self, "_body") and not self._is_replayed:
            self._is_replayed = True
            return {"type": "http.request", "body": self._body, "more_body": False}
        if self._is_disconnected:  # some servers report it only once
            return {"type": "http.disconnect"}
        return await self.receive()

    async def form(self, **limits: Any) -> FormData:  # type: ignore[override] # only awaited, not used with `async with`
        """Parse a form of limited size in one of a few charsets.

        The client chooses the charset, and some of Python's codecs take minutes for a megabyte.

        Raises:
            HTTPException: 413 if the form is too large, 400 for other charsets.
        """
        if len(await self.body()) > MAX_FORM_BYTES:
            raise HTTPException(BODY_TOO_LARGE.status, BODY_TOO_LARGE.detail)
        message = Message()
        message["content-type"] = self.headers.get("content-type", "")
        if str(message.get_param("charset", "utf-8")).lower() not in FORM_CHARSETS:
            raise HTTPException(UNREADABLE_BODY.status, UNREADABLE_BODY.detail)
        return await super().form(**limits)


def _truncated(digits: str) -> int:
    """Return an integer of the same sign that still exceeds every bound."""
    return int(digits[:MAX_INTEGER_DIGITS])


def _is_too_deep(body: bytes) -> bool:
    if body.count(b"[") + body.count(b"{") <= MAX_JSON_DEPTH:
        return False
    # No Python loop: a body may contain a million brackets, and a loop would block the event loop.
    brackets = _STRING.sub(b"", body).translate(None, delete=_NO_BRACKETS)
    return max(accumulate(map(_STEPS.__getitem__, brackets)), default=0) > MAX_JSON_DEPTH
