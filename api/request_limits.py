"""What a request may be in size, answered before anything else looks at it."""

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
    Problem,
    answer,
)

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send
    from starlette.types import Message as AsgiMessage


MAX_FORM_BYTES = 16 * 1024
MAX_INTEGER_DIGITS = 400
FORM_CHARSETS = {"utf-8", "utf8", "us-ascii", "ascii", "iso-8859-1", "latin-1", "latin1"}

# Possessive: a body without a closing quote costs one pass and no memory.
_STRING = re.compile(rb'"(?:[^"\\]++|\\.)*+"?', re.DOTALL)
_NO_BRACKETS = bytes(set(range(256)) - set(b"[]{}"))
_STEPS = {ord("["): 1, ord("{"): 1, ord("]"): -1, ord("}"): -1}


class RequestLimits:
    """Refuses requests that are too large: by what their head says, or else while the body is read."""

    def __init__(self, app: ASGIApp, *, max_body_bytes: int) -> None:
        self._app = app
        self._max_body_bytes = max_body_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Run the application, or answer instead of it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
        elif problem := self._problem_of(scope):
            await answer(problem)(scope, receive, send)
        else:
            await self._app(scope, self._counting(receive), send)

    def _problem_of(self, scope: Scope) -> Problem | None:
        size = 0
        for name, value in scope["headers"]:
            size += len(name) + len(value)
            if name == b"content-length" and value.isdigit() and int(value[:20]) > self._max_body_bytes:
                return BODY_TOO_LARGE
        if size > MAX_HEADER_BYTES:
            return HEADERS_TOO_LARGE
        return QUERY_TOO_LONG if len(scope["query_string"]) > MAX_QUERY_BYTES else None

    def _counting(self, receive: Receive) -> Receive:
        """Stop where more comes than was announced, or than is allowed where nothing was."""
        size = 0

        async def receive_counted() -> AsgiMessage:
            nonlocal size
            message = await receive()
            size += len(message.get("body", b""))
            if size > self._max_body_bytes:
                # Of this class, because it passes through what reads a body unchanged.
                raise HTTPException(BODY_TOO_LARGE.status, BODY_TOO_LARGE.detail)
            return message

        return receive_counted


class BoundedRequest(Request):
    """A request whose body costs only so much to parse, which is looked at before."""

    _is_read_again = False

    async def json(self) -> Any:
        """Parse the body.

        Raises:
            json.JSONDecodeError: It is no JSON in UTF-8 (RFC 8259, section 8.1), or nested too deep.
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
            # Python reads no integer of more than 4300 digits. It is JSON, and its field refuses it.
            self._json = json.loads(body, parse_int=_shortened)
            return self._json

    async def receive_again(self) -> AsgiMessage:
        """Receive the request as if nothing of it had been read."""
        if hasattr(self, "_body") and not self._is_read_again:
            self._is_read_again = True
            return {"type": "http.request", "body": self._body, "more_body": False}
        if self._is_disconnected:  # of which a server may tell only once
            return {"type": "http.disconnect"}
        return await self.receive()

    async def form(self, **limits: Any) -> FormData:  # type: ignore[override] # awaited only, never entered
        """Parse the form, whose fields are short and in a charset that decodes in one pass.

        The client names the charset, and Python has codecs that take minutes for a megabyte.

        Raises:
            HTTPException: 413 or 400.
        """
        if len(await self.body()) > MAX_FORM_BYTES:
            raise HTTPException(BODY_TOO_LARGE.status, BODY_TOO_LARGE.detail)
        message = Message()
        message["content-type"] = self.headers.get("content-type", "")
        if str(message.get_param("charset", "utf-8")).lower() not in FORM_CHARSETS:
            raise HTTPException(400, "There was an error parsing the body")
        return await super().form(**limits)


def _shortened(digits: str) -> int:
    """Return an integer that is still far beyond any bound, and of the same sign."""
    return int(digits[:MAX_INTEGER_DIGITS])


def _is_too_deep(body: bytes) -> bool:
    if body.count(b"[") + body.count(b"{") <= MAX_JSON_DEPTH:
        return False
    # No loop in Python: a body may hold a million brackets, and every other request waits meanwhile.
    brackets = _STRING.sub(b"", body).translate(None, delete=_NO_BRACKETS)
    return max(accumulate(map(_STEPS.__getitem__, brackets)), default=0) > MAX_JSON_DEPTH
