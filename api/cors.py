"""What browsers may do from other origins (https://fetch.spec.whatwg.org/#http-cors-protocol)."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING

from starlette.middleware.cors import CORSMiddleware

from api.errors import PREFLIGHT_REFUSED, answer

if TYPE_CHECKING:
    from starlette.datastructures import Headers
    from starlette.responses import Response
    from starlette.types import Message, Receive, Scope, Send

_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
"""A token of RFC 9110, section 5.6.2."""


class Cors(CORSMiddleware):
    """Starlette's, with a refusal in the form of every other error.

    With `allow_headers=["*"]` a preflight is answered with the header names that it asks for: a literal `*`
    does not cover `Authorization`. Any header is safe to allow, because there are no credentials: a page
    sends nothing but what it has by itself.
    """

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Run the application, or answer instead of it. Who is no browser's page costs nothing."""
        if scope["type"] != "http" or any(name == b"origin" for name, _ in scope["headers"]):
            await super().__call__(scope, receive, send)
            return

        async def send_varied(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message["headers"], (b"vary", b"Origin")]
            await send(message)

        await self.app(scope, receive, send_varied)

    def preflight_response(self, request_headers: Headers) -> Response:
        """Answer a browser that asks whether it may."""
        response = super().preflight_response(request_headers)
        if response.status_code >= 400:
            detail = bytes(response.body).decode()
        elif not _are_header_names(request_headers.get("Access-Control-Request-Headers", "")):
            detail = "Disallowed CORS headers"
            del response.headers["Access-Control-Allow-Headers"]
        else:
            return response
        refusal = answer(replace(PREFLIGHT_REFUSED, detail=detail))
        refusal.headers.update({**response.headers, **refusal.headers})
        return refusal


def _are_header_names(text: str) -> bool:
    """Tell whether the text is a list of header names; elements may be empty (section 5.6.1)."""
    names = (name.strip() for name in text.split(","))
    return all(_HEADER_NAME.fullmatch(name) for name in names if name)
