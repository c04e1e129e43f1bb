"""Swagger UI with local assets, so that it works without the internet."""

from __future__ import annotations

import re
from base64 import b64encode
from hashlib import sha256
from importlib.resources import files
from typing import TYPE_CHECKING

from fastapi.openapi.docs import get_swagger_ui_html, get_swagger_ui_oauth2_redirect_html
from fastapi.responses import HTMLResponse
from fastapi.staticfiles import StaticFiles
from starlette.routing import Route

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from fastapi import FastAPI, Request, Response

PAGE = "/docs"
ASSETS = f"{PAGE}/assets"
REDIRECT = f"{PAGE}/oauth2-redirect"

# The content of inline <script> elements.
_INLINE_SCRIPT = re.compile(r"<script(?![^>]*\bsrc=)[^>]*>(.*?)</script>", re.DOTALL)


def install(app: FastAPI, root_path: str) -> None:
    """Serve Swagger UI at `/docs`, with the assets of the package fastapi-offline.

    Args:
        app: The application.
        root_path: ROOT_PATH, the prefix of the URLs in the page.
    """
    app.mount(ASSETS, StaticFiles(directory=str(files("fastapi_offline") / "static")))
    swagger = get_swagger_ui_html(
        openapi_url=f"{root_path}{app.openapi_url}",
        title=f"{app.title}: API",
        oauth2_redirect_url=f"{root_path}{REDIRECT}",
        swagger_js_url=f"{root_path}{ASSETS}/swagger-ui-bundle.js",
        swagger_css_url=f"{root_path}{ASSETS}/swagger-ui.css",
        swagger_favicon_url=f"{root_path}{ASSETS}/favicon.png",
    )
    for path, page in ((PAGE, swagger), (REDIRECT, get_swagger_ui_oauth2_redirect_html())):
        app.router.routes.append(Route(path, _endpoint(_with_policy(page))))


def _endpoint(page: HTMLResponse) -> Callable[[Request], Awaitable[Response]]:
    async def show(_: Request) -> Response:
        return page

    return show


def _with_policy(page: HTMLResponse) -> HTMLResponse:
    """Set a content security policy that allows the inline scripts and local assets only."""
    html = bytes(page.body).decode()
    scripts = [sha256(script.encode()).digest() for script in _INLINE_SCRIPT.findall(html)]
    hashes = " ".join(f"'sha256-{b64encode(digest).decode()}'" for digest in scripts)
    page.headers["Content-Security-Policy"] = (
        f"default-src 'none'; script-src 'self' {hashes}; style-src 'self' 'unsafe-inline'; "
        "img-src 'self' data:; connect-src 'self'; frame-ancestors 'none'"
    )
    return page
