"""Normalisation of requests, so that ASGI servers and proxies make no difference."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import TYPE_CHECKING
from urllib.parse import unquote

from api.deps import API_PREFIX
from api.docs import PAGE

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send


class NormalisedRequests:
    """Middleware that strips header values, handles HEAD like GET, and sets the root path.

    - White space around a header value is not part of the value (RFC 9110, section 5.5). h11 strips it;
      httptools leaves trailing white space.
    - The response to HEAD is that of GET without the body (section 9.3.2). Routes declare GET only, so that
      the OpenAPI document does not describe each operation twice.
    - An ASGI path starts with the root path. Proxies that strip the root path and proxies that keep it are
      both supported.
    """

    def __init__(self, app: ASGIApp, *, root_path: str) -> None:
        """Store the root path, which is percent-encoded as in a URL."""
        self._app = app
        self._root_path = unquote(root_path)

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        """Run the application; see the class."""
        if scope["type"] == "http":
            scope["headers"] = [(name, value.strip(b" \t")) for name, value in scope["headers"]]
            if self._root_path:
                scope["root_path"] = self._root_path
                scope["path"] = self._root_path + self._path_below_root(scope["path"])
            if scope["method"] == "HEAD":
                return self._respond_to_head(scope, receive, send)
        return self._app(scope, receive, send)

    def _path_below_root(self, path: str) -> str:
        """Return the path without the root path.

        The prefix counts as the root path only if a path of this service follows. Example: with
        ROOT_PATH=/api a proxy that strips it sends `/api/v1/items/` for `/api/api/v1/items/`.
        """
        below = path.removeprefix(self._root_path)
        return below if f"{below}/".startswith((f"{API_PREFIX}/", f"{PAGE}/")) else path

    async def _respond_to_head(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Run the application with GET and end the response after its headers.

        A streamed response is then cancelled, as after a disconnect of the client.
        """

        async def send_head(message: Message) -> None:
            if message["type"] == "http.response.start":
                await send(message)
                await send({"type": "http.response.body"})

        await self._app({**scope, "method": "GET"}, receive, send_head)
