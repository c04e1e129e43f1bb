"""CORS: cross-origin requests of browsers (https://fetch.spec.whatwg.org/#http-cors-protocol)."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING

from starlette.middleware.cors import CORSMiddleware

from api.errors import PREFLIGHT_REFUSED, error_response

if TYPE_CHECKING:
    from starlette.datastructures import Headers
    from starlette.responses import Response
    from starlette.types import Message, Receive, Scope, Send

_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
"""A token of RFC 9110, section 5.6.2."""


class Cors(CORSMiddleware):
    """Starlette's CORS middleware with the API's error body for refused preflights.

    With `allow_headers=["*"]` the response to a preflight repeats the requested header names, because a
    literal `*` does not cover `Authorization`. Any header is safe to allow: the API uses no cookies, so a
    browser adds no credentials to a request.
    """

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Run the application or respond to a preflight. Requests without `Origin` skip Starlette."""
        if scope["type"] != "http" or any(name == b"origin" for name, _ in scope["headers"]):
            await super().__call__(scope, receive, send)
            return

        async def send_with_vary(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message["headers"], (b"vary", b"Origin")]
            await send(message)

        await self.app(scope, receive, send_with_vary)

    def preflight_response(self, request_headers: Headers) -> Response:
        """Return the response to a preflight request."""
        response = super().preflight_response(request_headers)
        if response.status_code >= 400:
            detail = bytes(response.body).decode()
        elif not _are_header_names(request_headers.get("Access-Control-Request-Headers", "")):
            detail = "Disallowed CORS headers"
            del response.headers["Access-Control-Allow-Headers"]
        else:
            return response
        refusal = error_response(replace(PREFLIGHT_REFUSED, detail=detail))
        refusal.headers.update({**response.headers, **refusal.headers})
        return refusal


def _are_header_names(text: str) -> bool:
    """Return whether the text is a list of header names. Empty elements are allowed (section 5.6.1)."""
    names = (name.strip() for name in text.split(","))
    return all(_HEADER_NAME.fullmatch(name) for name in names if name)
