"""What browsers may do from other origins (https://fetch.spec.whatwg.org/#http-cors-protocol)."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from starlette.middleware.cors import CORSMiddleware

from api.errors import PREFLIGHT_REFUSED, answer

if TYPE_CHECKING:
    from starlette.datastructures import Headers
    from starlette.responses import Response
    from starlette.types import Message, Receive, Scope, Send


class Cors(CORSMiddleware):
    """Starlette's, with a refusal in the form of every other error."""

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
        if response.status_code < 400:
            return response
        refusal = answer(replace(PREFLIGHT_REFUSED, detail=bytes(response.body).decode()))
        refusal.headers.update({**response.headers, **refusal.headers})
        return refusal
