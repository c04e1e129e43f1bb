"""The application factory: `create_app(settings)`."""

from __future__ import annotations

import gc
import logging
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING, Any

from fastapi import APIRouter, FastAPI
from starlette.applications import Starlette

from api import docs, errors
from api.cors import Cors
from api.deps import API_PREFIX, Services
from api.fast_path_check import on_fast_path
from api.headers import SecurityHeaders
from api.mailer import Mailer
from api.normalisation import NormalisedRequests
from api.request_limits import RequestLimits
from api.resources import resource_router, with_references
from api.routes import accounts, login, private, transfers, users, utils
from api.security import Passwords
from api.superuser import ensure_first_superuser
from api.throttle import Throttle
from api.user_routers import in_order, lifespan_of, routers_of, user_routes
from backends import open_backend
from backends.capabilities import Capability
from backends.models import with_items
from backends.models.resources import Resource, ResourceSpec
from backends.models.resources.loading import classes_of, load_declarations
from backends.protocols import Backend
from backends.requirements import Purpose, require
from config import Settings

if TYPE_CHECKING:
    from fastapi.telemetry import TelemetryConfig
    from starlette.types import ASGIApp

logger = logging.getLogger(__name__)

BackendOpener = Callable[[Settings], Awaitable[Backend]]

DESCRIPTION = "One REST API on SQLite, PostgreSQL or MongoDB, with the same responses on each."

TAGS = {
    "login": "Log in, and reset a password by email.",
    "users": "Sign up, manage your own user, and administer all users as a superuser.",
    "accounts": "Accounts: your own, or all for a superuser. Superusers make deposits and withdrawals.",
    "transfers": "Transfers between accounts, and the entries of the ledger.",
    "utils": "Operations.",
    "private": "For tests of a front end. Only with `ENVIRONMENT=local`.",
}


class _App(FastAPI):
    """FastAPI with an OpenAPI document that describes the error responses and the root path.

    Without telemetry, the middleware is Starlette's. FastAPI adds layers that do nothing here: one reports
    exceptions to telemetry, one limits bodies, which `RequestLimits` does, and one closes uploaded files,
    which `api.routing.Route` does.
    """

    def build_middleware_stack(self) -> ASGIApp:
        """Return the middleware around the router."""
        if any(_telemetry().values()):
            return super().build_middleware_stack()
        return Starlette.build_middleware_stack(self)

    def openapi(self) -> dict[str, Any]:
        """Return the OpenAPI document. A 422 in it has a `code` and does not contain the input."""
        if self.openapi_schema:
            return self.openapi_schema
        document = super().openapi()
        for server in self.servers:
            for scheme in document["components"]["securitySchemes"].values():
                # Swagger UI resolves the URL against the host and ignores the path of the server.
                flow = scheme["flows"]["password"]
                flow["tokenUrl"] = server["url"] + flow["tokenUrl"]
        schemas = document["components"]["schemas"]
        schemas[errors.ErrorBody.__name__] = errors.ErrorBody.model_json_schema()
        error = schemas["HTTPValidationError"]
        error_codes = [
            "validation_error",
            *(problem.code for problem in errors.VALIDATION_PROBLEMS.values()),
        ]
        error["properties"]["code"] = {"type": "string", "title": "Code", "enum": error_codes}
        error["required"] = ["detail", "code"]
        example = {"loc": ["body", "title"], "msg": "Field required", "type": "missing"}
        error["examples"] = [{"detail": [example], "code": "validation_error"}]
        for omitted in ("ctx", "input"):
            schemas["ValidationError"]["properties"].pop(omitted, None)
        return document


def create_app(
    settings: Settings,
    *,
    resources: Sequence[type[Resource]] = (),
    routers: Sequence[APIRouter] = (),
    opener: BackendOpener | None = None,
    fast_path: bool = True,
) -> FastAPI:
    """Create the ASGI application. It opens no connection before its lifespan starts.

    The lifespan opens one backend in the event loop of the server. It checks the requirements of the
    database server and the revision of the schema, creates the first superuser, and closes everything at
    shutdown.

    Args:
        settings: Validated settings.
        resources: The declared resources, besides items.
        routers: The routers of the user, which are served with them.
        opener: Opens the backend, which has the same resources. Default: `open_backend`.
        fast_path: Whether ordinary requests skip FastAPI's dependency solver. False is for tests, which
            compare both paths.

    Raises:
        DeclarationError: A route of the routers can't be served.
    """
    telemetry = _telemetry()
    served = list(with_items(resources).values())
    app = _App(
        title="EitherDB",
        description=DESCRIPTION,
        openapi_tags=_tags([cls.__resource__ for cls in served]),
        openapi_url=f"{API_PREFIX}/openapi.json" if settings.shows_docs else None,
        docs_url=None,
        redoc_url=None,
        servers=[{"url": settings.root_path}] if settings.root_path else None,
        root_path_in_servers=False,
        lifespan=_lifespan(settings, opener or partial(open_backend, resources=resources), routers),
        telemetry=telemetry,
    )
    if settings.shows_docs:
        docs.install(app, settings.root_path)
    errors.install(app)
    # The last one added is the outermost. CORS is outside of the errors, so that browsers can read them.
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
    routes = [route for router in _routers(settings, served) for route in router.routes]
    routes = with_references(routes, [cls.__resource__ for cls in served])
    before, after = in_order(user_routes(routers, routes, served), routes)
    # With telemetry, the fast path is off: FastAPI records spans on its own path only.
    own = on_fast_path(routes) if fast_path and not any(telemetry.values()) else routes
    app.router.routes.extend([*before, *own, *after])
    return app


def _routers(settings: Settings, served: Sequence[type[Resource]]) -> list[APIRouter]:
    """Return the routers of the application. The most used come first: routes are tried in order."""
    specs = [cls.__resource__ for cls in served]
    resources = [resource_router(cls, specs) for cls in served]
    modules = [transfers, accounts, users, login, *([private] if settings.is_local else [])]
    return [utils.router, *resources, *(module.router for module in modules)]


def _tags(specs: Sequence[ResourceSpec]) -> list[dict[str, str]]:
    """Return the tags of the OpenAPI document. A resource is described by its docstring."""
    tags = {**TAGS, **{spec.path: spec.title for spec in specs}}
    order = ["login", "users", *(spec.path for spec in specs)]
    names = [*order, *(name for name in TAGS if name not in order)]
    return [{"name": name, "description": tags[name]} for name in names]


def _telemetry() -> TelemetryConfig:
    """Enable FastAPI's OpenTelemetry if an OTEL_ environment variable is set.

    By default FastAPI looks for a provider on each request, an eighth of the cost of a small response.
    """
    is_on = any(name.startswith("OTEL_") for name in os.environ)
    return {"tracing": is_on, "metrics": is_on, "logs": is_on}


def create_app_from_environment() -> FastAPI:
    """Create the application from environment variables. Each worker process calls it."""
    settings = Settings.load()
    declarations = load_declarations(settings.resources)
    app = create_app(settings, resources=classes_of(declarations), routers=routers_of(declarations))
    # The objects that exist now live as long as the process. Frozen objects are not scanned by the garbage
    # collector; a scan takes 50 ms.
    gc.freeze()
    gc.enable()
    return app


def _lifespan(
    settings: Settings, opener: BackendOpener, routers: Sequence[APIRouter]
) -> Callable[[FastAPI], AbstractAsyncContextManager[Any]]:
    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[Any]:
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
                # Printed and not logged: logs may be stored elsewhere.
                print(_FIRST_SUPERUSER.format(settings.superuser_email, password), flush=True)  # noqa: T201
            async with Mailer(settings) as mail:
                throttle = Throttle(backend.counters, settings)
                app.state.services = Services(settings, backend, passwords, throttle, mail)
                async with lifespan_of(routers, app) as state:
                    yield state
        finally:
            passwords.close()
            await backend.close()

    return lifespan


_FIRST_SUPERUSER = """
  First superuser   {}
  Password          {}
  (generated, and shown this once; set FIRST_SUPERUSER_PASSWORD to choose it)
"""
