"""Makes the application: `create_app(settings)`."""

from __future__ import annotations

import gc
import logging
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import TYPE_CHECKING, Any

from fastapi import FastAPI

from api import docs, errors
from api.cors import Cors
from api.deps import API_PREFIX, Services
from api.fast_path_check import on_fast_path
from api.headers import SecurityHeaders
from api.mailer import Mailer
from api.normalisation import NormalisedRequests
from api.request_limits import RequestLimits
from api.routes import accounts, items, login, private, transfers, users, utils
from api.security import Passwords
from api.superuser import ensure_first_superuser
from api.throttle import Throttle
from backends import open_backend
from backends.capabilities import Capability
from backends.protocols import Backend
from backends.requirements import Purpose, require
from config import Settings

if TYPE_CHECKING:
    from fastapi.telemetry import TelemetryConfig

logger = logging.getLogger(__name__)

BackendOpener = Callable[[Settings], Awaitable[Backend]]

DESCRIPTION = "One REST API on SQLite, PostgreSQL or MongoDB, with the same answers."


TAGS = {
    "login": "Signing in, and a new password by mail.",
    "users": "Signing up, one's own account, and the administration of all by superusers.",
    "items": "Items: one's own, or everyone's for a superuser.",
    "accounts": "Accounts: one's own, or everyone's for a superuser, who brings money in and out.",
    "transfers": "Money that moves between accounts, and the ledger of all that moved.",
    "utils": "What operators ask.",
    "private": "For tests of a front end; with `ENVIRONMENT=local` only.",
}


class _App(FastAPI):
    """FastAPI, with an OpenAPI document that describes errors and the root path as they are."""

    def openapi(self) -> dict[str, Any]:
        """Return the document: errors are JSON, and a 422 has a `code` and does not repeat the input."""
        if self.openapi_schema:
            return self.openapi_schema
        document = super().openapi()
        for server in self.servers:
            for scheme in document["components"]["securitySchemes"].values():
                # Swagger UI resolves it against the host, not below the server's path.
                flow = scheme["flows"]["password"]
                flow["tokenUrl"] = server["url"] + flow["tokenUrl"]
        schemas = document["components"]["schemas"]
        schemas[errors.ErrorBody.__name__] = errors.ErrorBody.model_json_schema()
        error = schemas["HTTPValidationError"]
        error_codes = ["validation_error", *(fault.code for fault in errors.FAULTS.values())]
        error["properties"]["code"] = {"type": "string", "title": "Code", "enum": error_codes}
        error["required"] = ["detail", "code"]
        fault = {"loc": ["body", "title"], "msg": "Field required", "type": "missing"}
        error["examples"] = [{"detail": [fault], "code": "validation_error"}]
        for unsent in ("ctx", "input"):
            schemas["ValidationError"]["properties"].pop(unsent, None)
        return document


def create_app(
    settings: Settings, *, opener: BackendOpener = open_backend, fast_path: bool = True
) -> FastAPI:
    """Make the ASGI application; nothing connects before its lifespan starts.

    The lifespan opens one backend in the event loop that serves, refuses a server that lacks what the
    contract needs and a schema that is not the code's, makes the first superuser, and closes everything
    at the end.

    Args:
        settings: Checked settings.
        opener: What opens the backend.
        fast_path: Whether ordinary requests are answered without FastAPI's dependency solver; False is for
            tests, which compare both.
    """
    telemetry = _telemetry()
    app = _App(
        title="EitherDB",
        description=DESCRIPTION,
        openapi_tags=[{"name": name, "description": text} for name, text in TAGS.items()],
        openapi_url=f"{API_PREFIX}/openapi.json" if settings.shows_docs else None,
        docs_url=None,
        redoc_url=None,
        servers=[{"url": settings.root_path}] if settings.root_path else None,
        root_path_in_servers=False,
        lifespan=_lifespan(settings, opener),
        telemetry=telemetry,
    )
    if settings.shows_docs:
        docs.install(app, settings.root_path)
    errors.install(app)
    # What is added later is further out; CORS is outside of the errors, so that a browser may read those.
    app.add_middleware(RequestLimits, max_body_bytes=settings.max_body_bytes)
    app.add_middleware(
        Cors,
        allow_origins=settings.allowed_origins,
        allow_methods=["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"],
        allow_headers=["*"],
        expose_headers=["Allow", "ETag", "Retry-After", "Subject", "WWW-Authenticate"],
    )
    app.add_middleware(SecurityHeaders, strict_transport=not settings.is_local)
    app.add_middleware(NormalisedRequests, root_path=settings.root_path)
    # What is called most comes first: the router tries one route after the other.
    modules = [utils, items, transfers, accounts, users, login]
    if settings.is_local:
        modules.append(private)
    routes = [route for module in modules for route in module.router.routes]
    # With telemetry on, FastAPI records spans on its own path only.
    app.router.routes.extend(on_fast_path(routes) if fast_path and not any(telemetry.values()) else routes)
    return app


def _telemetry() -> TelemetryConfig:
    """Turn FastAPI's OpenTelemetry on where the environment says anything of that.

    Else it asks at each request whether there is any, which costs an eighth of a small answer.
    """
    is_on = any(name.startswith("OTEL_") for name in os.environ)
    return {"tracing": is_on, "metrics": is_on, "logs": is_on}


def create_app_from_environment() -> FastAPI:
    """Make the application from the environment's settings: what a server's workers call."""
    app = create_app(Settings.load())
    # What was imported and made until now stays for ever: the garbage collector need not look at it, now,
    # for a twentieth of a second, or in the middle of requests.
    gc.freeze()
    gc.enable()
    return app


def _lifespan(
    settings: Settings, opener: BackendOpener
) -> Callable[[FastAPI], AbstractAsyncContextManager[None]]:
    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        backend = await opener(settings)
        passwords = Passwords()
        try:
            for unmet in require(await backend.check_server(Purpose.SERVE)):
                logger.warning("%s", unmet)
            await backend.check_schema()
            for capability in set(Capability) - backend.capabilities:
                logger.warning("no %s: %s; %s", capability, capability.loss, capability.remedy)
            password = await ensure_first_superuser(backend.users, passwords, settings)
            if password is not None:
                # To the terminal and not to the log, which others may keep.
                print(_FIRST_SUPERUSER.format(settings.superuser_email, password), flush=True)  # noqa: T201
            async with Mailer(settings) as mail:
                throttle = Throttle(backend.counters, settings)
                app.state.services = Services(settings, backend, passwords, throttle, mail)
                yield
        finally:
            passwords.close()
            await backend.close()

    return lifespan


_FIRST_SUPERUSER = """
  First superuser   {}
  Password          {}
  (generated, and shown this once; set FIRST_SUPERUSER_PASSWORD to choose it)
"""
