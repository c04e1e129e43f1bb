"""Every answer that is not a success: the only place that knows HTTP status codes of errors.

The body is `{"detail": text, "code": word}`; `code` is stable, `detail` is for people. A 422 has FastAPI's
list of `{loc, msg, type}` as its `detail`.
"""

from __future__ import annotations

import logging
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from fastapi.exceptions import RequestValidationError, ResponseValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel
from starlette.exceptions import HTTPException
from starlette.routing import Match

from backends.capabilities import Capability
from backends.errors import (
    AccountNotEmpty,
    AlreadyExists,
    BackendError,
    BalanceOverflow,
    Conflict,
    CurrencyMismatch,
    IdempotencyKeyReused,
    InsufficientFunds,
    NotFound,
    NotOwner,
    NotSupported,
    Unavailable,
    UnreadableRow,
    VersionMismatch,
)
from backends.models import MAX_MINOR, Record
from backends.rows import unreadable_record

if TYPE_CHECKING:
    from fastapi import FastAPI, Request
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Problem:
    """One kind of refusal."""

    status: int
    code: str
    detail: str
    headers: Mapping[str, str] = field(default_factory=dict)


class ApiError(Exception):
    """Ends a request with this problem as its answer."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.detail)
        self.problem = problem


class ErrorBody(BaseModel):
    """An error: a sentence for people and a stable word for programs."""

    detail: str
    code: str


ERROR_SCHEMA = {"$ref": f"#/components/schemas/{ErrorBody.__name__}"}


def _not_supported(capability: Capability) -> Problem:
    return Problem(
        501, "not_supported", f"This server can't do that: it needs {capability}: {capability.remedy}"
    )


MAX_HEADER_BYTES = 16 * 1024
MAX_QUERY_BYTES = 8 * 1024
MAX_JSON_DEPTH = 32
TOO_DEEP = f"JSON is nested deeper than {MAX_JSON_DEPTH}"

NOT_AUTHENTICATED = Problem(401, "not_authenticated", "Not authenticated", {"WWW-Authenticate": "Bearer"})
INVALID_TOKEN = Problem(403, "invalid_token", "Could not validate credentials")
INACTIVE_USER = Problem(400, "inactive_user", "Inactive user")
NOT_PRIVILEGED = Problem(403, "forbidden", "The user doesn't have enough privileges")
NOT_OWNER = Problem(403, "forbidden", "Not enough permissions")
SELF_DELETION = Problem(403, "forbidden", "Super users are not allowed to delete themselves")
INCORRECT_LOGIN = Problem(400, "incorrect_login", "Incorrect email or password")
INCORRECT_PASSWORD = Problem(400, "incorrect_password", "Incorrect password")
SAME_PASSWORD = Problem(400, "same_password", "New password cannot be the same as the current one")
EMAIL_TAKEN_AT_SIGNUP = Problem(
    400, "already_exists", "The user with this email already exists in the system"
)
EMAIL_TAKEN_AT_CREATE = Problem(
    400, "already_exists", "The user with this email already exists in the system."
)
EMAIL_TAKEN = Problem(409, "already_exists", "User with this email already exists")
ALREADY_EXISTS = Problem(409, "already_exists", "The value is already taken")
USER_NOT_FOUND = Problem(404, "not_found", "User not found")
USER_TO_CHANGE_NOT_FOUND = Problem(404, "not_found", "The user with this id does not exist in the system")
ITEM_NOT_FOUND = Problem(404, "not_found", "Item not found")
ACCOUNT_NOT_FOUND = Problem(404, "not_found", "Account not found")
TRANSFER_NOT_FOUND = Problem(404, "not_found", "Transfer not found")
ACCOUNT_NOT_EMPTY = Problem(409, "account_not_empty", "There is money in the account")
USER_HAS_MONEY = Problem(409, "account_not_empty", "There is money in an account of the user")
INSUFFICIENT_FUNDS = Problem(409, "insufficient_funds", "The account has less than that")
VERSION_MISMATCH = Problem(412, "version_mismatch", "It was changed meanwhile; read it again")
INVALID_RESET_TOKEN = Problem(400, "invalid_token", "Invalid token")
TOO_MANY_ATTEMPTS = Problem(429, "too_many_attempts", "Too many attempts; try again later")
MAIL_RECIPIENT_NOT_FOUND = Problem(
    404, "not_found", "The user with this username does not exist in the system."
)
NO_SUCH_PATH = Problem(404, "not_found", "Not Found")
PREFLIGHT_REFUSED = Problem(400, "bad_request", "Disallowed CORS origin")
BODY_TOO_LARGE = Problem(413, "body_too_large", "Content Too Large")
QUERY_TOO_LONG = Problem(414, "query_too_long", f"The query is longer than {MAX_QUERY_BYTES} bytes")
HEADERS_TOO_LARGE = Problem(
    431, "headers_too_large", f"The headers are larger than {MAX_HEADER_BYTES} bytes"
)
INTERNAL_ERROR = Problem(500, "internal_error", "Internal server error (id 0123456789abcdef)")
NO_TRANSACTIONS = _not_supported(Capability.TRANSACTIONS)
UNAVAILABLE = Problem(503, "unavailable", "The database is not available; try again later")
TOO_BUSY = Problem(503, "too_busy", "Too many are signing in; try again later", {"Retry-After": "10"})
CONFLICT = Problem(503, "conflict", "Too many changes at the same time; try again")

TOKEN_PROBLEMS = (NOT_AUTHENTICATED, INVALID_TOKEN, USER_NOT_FOUND, INACTIVE_USER)
"""What every route with a bearer token may answer."""

ALWAYS_POSSIBLE = (
    BODY_TOO_LARGE,
    QUERY_TOO_LONG,
    HEADERS_TOO_LARGE,
    INTERNAL_ERROR,
    UNAVAILABLE,
    CONFLICT,
    TOO_BUSY,
)
"""What any route may answer, whatever is asked."""

# What the framework itself refuses: unknown paths and methods, bodies that can't be read.
FRAMEWORK_CODES = {
    400: "bad_request",
    401: "not_authenticated",
    404: "not_found",
    405: "method_not_allowed",
    413: "body_too_large",
}

NOT_FOUND = {
    "user": USER_NOT_FOUND,
    "item": ITEM_NOT_FOUND,
    "account": ACCOUNT_NOT_FOUND,
    "transfer": TRANSFER_NOT_FOUND,
}
NOT_EMPTY = {"account": ACCOUNT_NOT_EMPTY, "user": USER_HAS_MONEY}

PROBLEMS: dict[type[BackendError], Problem] = {
    NotOwner: NOT_OWNER,
    VersionMismatch: VERSION_MISMATCH,
    InsufficientFunds: INSUFFICIENT_FUNDS,
}


@dataclass(frozen=True, slots=True)
class Fault:
    """What is wrong with a request that only the database could tell: a 422 with a code of its own."""

    code: str
    loc: tuple[str, str]
    msg: str


FAULTS: dict[type[BackendError], Fault] = {
    IdempotencyKeyReused: Fault(
        "idempotency_key_reused",
        ("header", "idempotency-key"),
        "The key was used for another request; take a new one",
    ),
    CurrencyMismatch: Fault(
        "currency_mismatch", ("body", "to_account_id"), "The accounts should have the same currency"
    ),
    BalanceOverflow: Fault(
        "balance_overflow", ("body", "amount_minor"), f"The balance should not exceed {MAX_MINOR}"
    ),
}


def too_many_attempts(retry_after_seconds: int) -> Problem:
    """Return TOO_MANY_ATTEMPTS with the time to wait."""
    return replace(TOO_MANY_ATTEMPTS, headers={"Retry-After": str(retry_after_seconds)})


def problem_of(error: BackendError) -> Problem | None:
    """Say what a backend's error means to a client; None if it is no fault that a client may know."""
    if known := PROBLEMS.get(type(error)):
        return known
    match error:
        case NotFound() | AccountNotEmpty():
            return (NOT_FOUND if isinstance(error, NotFound) else NOT_EMPTY)[error.entity]
        case AlreadyExists():
            return EMAIL_TAKEN if error.field == "email" else ALREADY_EXISTS
        case NotSupported():
            return _not_supported(error.capability)
        case Unavailable():
            known = CONFLICT if isinstance(error, Conflict) else UNAVAILABLE
            retry_after = {"Retry-After": str(error.retry_after_seconds)}
            return Problem(known.status, known.code, known.detail, retry_after)
    return None


_RETRY_AFTER = {
    "Retry-After": {"description": "Seconds to wait.", "schema": {"type": "integer", "minimum": 0}}
}
DOCUMENTED_HEADERS: dict[int, dict[str, Any]] = {
    401: {"WWW-Authenticate": {"description": "`Bearer`.", "schema": {"type": "string"}}},
    429: _RETRY_AFTER,
    503: _RETRY_AFTER,
}
"""What every answer with such a status has."""


def documented(*problems: Problem) -> dict[int | str, dict[str, Any]]:
    """Describe these problems for the OpenAPI document, an example each."""
    responses: dict[int | str, dict[str, Any]] = {}
    for problem in problems:
        # Not as its `model`: FastAPI would make a validator of it for each of several hundred answers.
        response = responses.setdefault(
            problem.status,
            {
                "description": "",
                "content": {"application/json": {"examples": {}, "schema": ERROR_SCHEMA}},
            },
        )
        if headers := DOCUMENTED_HEADERS.get(problem.status):
            response["headers"] = headers
        response["description"] = "; ".join(filter(None, [response["description"], problem.detail]))
        examples = response["content"]["application/json"]["examples"]
        examples[problem.detail] = {"value": {"detail": problem.detail, "code": problem.code}}
    return responses


def answer(problem: Problem) -> JSONResponse:
    """Make the answer that tells a client of this problem."""
    return JSONResponse(
        {"detail": problem.detail, "code": problem.code}, problem.status, dict(problem.headers)
    )


async def _on_api_error(_request: Request, exc: Exception) -> JSONResponse:
    assert isinstance(exc, ApiError)  # noqa: S101 - registered for this class
    return answer(exc.problem)


async def _on_backend_error(request: Request, exc: Exception) -> JSONResponse:
    assert isinstance(exc, BackendError)  # noqa: S101 - registered for this class
    if fault := FAULTS.get(type(exc)):
        detail = [{"loc": fault.loc, "msg": fault.msg, "type": fault.code}]
        return JSONResponse({"detail": detail, "code": fault.code}, 422)
    problem = problem_of(exc)
    if problem is None:
        raise exc
    if problem.status >= 500:
        logger.warning("%s %s: %s", request.method, _route_of(request.scope), exc)
    return answer(problem)


async def _on_validation_error(_request: Request, exc: Exception) -> JSONResponse:
    """Answer as FastAPI does, without its echo of the input: that may be a password or not be UTF-8."""
    assert isinstance(exc, RequestValidationError)  # noqa: S101 - registered for this class
    detail = [
        {"loc": error["loc"], "msg": _message_of(error), "type": error["type"]} for error in exc.errors()
    ]
    return JSONResponse({"detail": detail, "code": "validation_error"}, 422)


def _message_of(error: dict[str, Any]) -> str:
    """Return what is wrong; of JSON that was not even parsed, FastAPI says the reason elsewhere."""
    reason = error.get("ctx", {}).get("error") if error["type"] == "json_invalid" else None
    return str(reason if reason == TOO_DEEP else error["msg"])


async def _on_http_error(request: Request, exc: Exception) -> JSONResponse:
    assert isinstance(exc, HTTPException)  # noqa: S101 - registered for this class
    code = FRAMEWORK_CODES.get(exc.status_code, "error")
    headers = dict(exc.headers or {})
    if exc.status_code == 405:
        headers["Allow"] = ", ".join(_allowed_methods(request))
    return JSONResponse({"detail": exc.detail, "code": code}, exc.status_code, headers)


def _allowed_methods(request: Request) -> list[str]:
    """Return what every route of this path takes: the router names only the first one's methods."""
    asked = ({**request.scope, "method": method} for method in ("GET", "POST", "PUT", "PATCH", "DELETE"))
    allowed = [
        scope["method"]
        for scope in asked
        if any(route.matches(scope)[0] is Match.FULL for route in request.app.routes)
    ]
    return ["GET", "HEAD", *allowed[1:]] if "GET" in allowed else allowed


def _route_of(scope: Scope) -> str:
    """Return the path as it is declared, for the log: what was asked for may hold an address."""
    return getattr(scope.get("route"), "path", "(no route)")


def _row_of(exc: Exception) -> str:
    """Name the row that could not be read, or that does not fit the response, for the log."""
    if isinstance(exc, ResponseValidationError) and isinstance(exc.body, Record):
        exc = unreadable_record(exc.body, field=str(exc.errors()[0]["loc"][-1]))
    return f": {exc}" if isinstance(exc, UnreadableRow) else ""


class UnexpectedErrors:
    """Answers what nothing else caught: 500 with an id under which the log has the traceback.

    A middleware rather than an exception handler, so that the answer passes through CORS as well.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Run the application; see the class."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = False

        async def watch(message: Message) -> None:
            nonlocal started
            started = started or message["type"] == "http.response.start"
            await send(message)

        try:
            await self._app(scope, receive, watch)
        except Exception as exc:
            error_id = secrets.token_hex(8)
            row = _row_of(exc)
            logger.exception("error %s: %s %s%s", error_id, scope["method"], _route_of(scope), row)
            if started:
                raise
            detail = f"Internal server error (id {error_id})"
            await answer(replace(INTERNAL_ERROR, detail=detail))(scope, receive, send)


def install(app: FastAPI) -> None:
    """Register the handlers and the middleware."""
    app.add_exception_handler(ApiError, _on_api_error)
    app.add_exception_handler(BackendError, _on_backend_error)
    app.add_exception_handler(RequestValidationError, _on_validation_error)
    app.add_exception_handler(HTTPException, _on_http_error)
    app.add_middleware(UnexpectedErrors)
