"""Security and caching headers (https://owasp.org/www-project-secure-headers/)."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

_ALWAYS = [
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"permissions-policy", b"camera=(), geolocation=(), microphone=()"),
]
_CONTENT_SECURITY_POLICY = (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'")
# Two years, as https://hstspreload.org recommends. Not sent in `local`, where there is usually no TLS.
_STRICT_TRANSPORT_SECURITY = (b"strict-transport-security", b"max-age=63072000; includeSubDomains")
# Responses are private. A client may store one with an ETag, but has to revalidate it.
_CACHE_TAGGED = (b"cache-control", b"private, no-cache")
_CACHE_NOTHING = (b"cache-control", b"no-store")


class SecurityHeaders:
    """Middleware that adds security headers to each response and removes the host from redirects.

    A response keeps its own Content-Security-Policy and Cache-Control.
    """

    def __init__(self, app: ASGIApp, *, strict_transport: bool) -> None:
        self._app = app
        self._always = [*_ALWAYS, *([_STRICT_TRANSPORT_SECURITY] if strict_transport else [])]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Run the application; see the class."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = message["headers"]
                if message["status"] == 307:
                    headers[:] = [(name, _without_host(name, value)) for name, value in headers]
                names = {name.lower() for name, _ in headers}
                headers.extend(self._always)
                if b"content-security-policy" not in names:
                    headers.append(_CONTENT_SECURITY_POLICY)
                if b"cache-control" not in names:
                    headers.append(_CACHE_TAGGED if b"etag" in names else _CACHE_NOTHING)
            await send(message)

        await self._app(scope, receive, send_with_headers)


def _without_host(name: bytes, value: bytes) -> bytes:
    """Remove scheme and host from a Location: behind a proxy the client uses others."""
    if name.lower() != b"location":
        return value
    return urlsplit(value)._replace(scheme=b"", netloc=b"").geturl()
