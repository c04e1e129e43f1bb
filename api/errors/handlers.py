"""Exception handlers and middleware that turn exceptions into error responses."""

from __future__ import annotations

import logging
import secrets
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from fastapi.exceptions import RequestValidationError, ResponseValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException
from starlette.routing import Match

from api.errors.backend_errors import VALIDATION_PROBLEMS, problem_of
from api.errors.problems import INTERNAL_ERROR, TOO_DEEP, ApiError, Problem
from backends.errors import BackendError, RuleBroken, UnreadableRow
from backends.models import Record
from backends.models.resources import Resource
from backends.rows import unreadable_record

if TYPE_CHECKING:
    from fastapi import FastAPI, Request
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

logger = logging.getLogger("api.errors")

# Errors that FastAPI and Starlette raise: unknown paths and methods, bodies that can't be read. Also those
# that the routes of a user raise.
_FRAMEWORK_CODES = {
    400: "bad_request",
    401: "not_authenticated",
    403: "forbidden",
    404: "not_found",
    405: "method_not_allowed",
    409: "conflict",
    413: "body_too_large",
}


def error_response(problem: Problem) -> JSONResponse:
    """Return the error response of a problem."""
    return JSONResponse(
        {"detail": problem.detail, "code": problem.code}, problem.status, dict(problem.headers)
    )


async def _on_api_error(_request: Request, exc: Exception) -> JSONResponse:
    assert isinstance(exc, ApiError)  # noqa: S101 - registered for this class
    return error_response(exc.problem)


async def _on_backend_error(request: Request, exc: Exception) -> JSONResponse:
    assert isinstance(exc, BackendError)  # noqa: S101 - registered for this class
    if invalid := VALIDATION_PROBLEMS.get(type(exc)):
        detail = [{"loc": invalid.loc, "msg": invalid.msg, "type": invalid.code}]
        return JSONResponse({"detail": detail, "code": invalid.code}, 422)
    if isinstance(exc, RuleBroken):
        refused = [{**each, "loc": ("body", *each["loc"])} for each in exc.problems]
        return await _on_validation_error(request, RequestValidationError(refused))
    problem = problem_of(exc)
    if problem is None:
        raise exc
    if problem.status >= 500:
        logger.warning("%s %s: %s", request.method, _route_of(request.scope), exc)
    return error_response(problem)


async def _on_validation_error(_request: Request, exc: Exception) -> JSONResponse:
    """Return the 422 of FastAPI without the input, which may be a password or invalid UTF-8."""
    assert isinstance(exc, RequestValidationError)  # noqa: S101 - registered for this class
    detail = [
        {"loc": error["loc"], "msg": _message_of(error), "type": error["type"]} for error in exc.errors()
    ]
    return JSONResponse({"detail": detail, "code": "validation_error"}, 422)


def _message_of(error: dict[str, Any]) -> str:
    """Return the message of an error. FastAPI puts the reason for invalid JSON into `ctx`."""
    reason = error.get("ctx", {}).get("error") if error["type"] == "json_invalid" else None
    return str(reason if reason == TOO_DEEP else error["msg"])


async def _on_http_error(request: Request, exc: Exception) -> JSONResponse:
    assert isinstance(exc, HTTPException)  # noqa: S101 - registered for this class
    code = _FRAMEWORK_CODES.get(exc.status_code, "error")
    headers = dict(exc.headers or {})
    if exc.status_code == 405:
        headers["Allow"] = ", ".join(_allowed_methods(request))
    return JSONResponse({"detail": exc.detail, "code": code}, exc.status_code, headers)


def _allowed_methods(request: Request) -> list[str]:
    """Return the methods of all routes of this path. The router's `Allow` lists only those of the first."""
    requests = ({**request.scope, "method": method} for method in ("GET", "POST", "PUT", "PATCH", "DELETE"))
    allowed = [
        scope["method"]
        for scope in requests
        if any(route.matches(scope)[0] is Match.FULL for route in request.app.routes)
    ]
    return ["GET", "HEAD", *allowed[1:]] if "GET" in allowed else allowed


def _route_of(scope: Scope) -> str:
    """Return the path template for the log. The requested path may contain an email address."""
    return getattr(scope.get("route"), "path", "(no route)")


def _row_of(exc: Exception) -> str:
    """Return the name of a row that can't be read or does not fit the response model, for the log."""
    if isinstance(exc, ResponseValidationError) and isinstance(exc.body, Record | Resource):
        exc = unreadable_record(exc.body, field=str(exc.errors()[0]["loc"][-1]))
    return f": {exc}" if isinstance(exc, UnreadableRow) else ""


class UnexpectedErrors:
    """Middleware that turns unhandled exceptions into 500 responses.

    The response contains an id. The log contains the traceback under the same id. An exception handler
    would run outside of the CORS middleware, so browsers could not read the response.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Run the application; see the class."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = False

        async def send_watched(message: Message) -> None:
            nonlocal started
            started = started or message["type"] == "http.response.start"
            await send(message)

        try:
            await self._app(scope, receive, send_watched)
        except Exception as exc:
            error_id = secrets.token_hex(8)
            row = _row_of(exc)
            logger.exception("error %s: %s %s%s", error_id, scope["method"], _route_of(scope), row)
            if started:
                raise
            detail = f"Internal server error (id {error_id})"
            await error_response(replace(INTERNAL_ERROR, detail=detail))(scope, receive, send)


def install(app: FastAPI) -> None:
    """Register the handlers and the middleware."""
    app.add_exception_handler(ApiError, _on_api_error)
    app.add_exception_handler(BackendError, _on_backend_error)
    app.add_exception_handler(RequestValidationError, _on_validation_error)
    app.add_exception_handler(HTTPException, _on_http_error)
    app.add_middleware(UnexpectedErrors)
