"""The problems that the API reports: status code, stable code and detail text of each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from backends.capabilities import Capability


@dataclass(frozen=True, slots=True)
class Problem:
    """An error response that the API can return."""

    status: int
    code: str
    detail: str
    headers: Mapping[str, str] = field(default_factory=dict)


class ApiError(Exception):
    """Ends the request with the error response of a problem."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.detail)
        self.problem = problem


def not_supported(capability: Capability) -> Problem:
    """Return the problem of an operation that needs a missing capability."""
    return Problem(
        501, "not_supported", f"This server can't do that: it needs {capability}: {capability.remedy}"
    )


def not_found(entity: str) -> Problem:
    """Return the problem of an id that no row of this entity has."""
    return Problem(404, "not_found", f"{entity.replace('_', ' ').capitalize()} not found")


def already_exists(entity: str, fields: str) -> Problem:
    """Return the problem of a unique group of fields, joined by commas, that another row already has."""
    # Within an owner's rows, the owner says nothing new.
    names = [name for name in fields.split(",") if name != "owner_id"] or ["owner"]
    detail = f"Another {entity.replace('_', ' ')} already has this {' and '.join(names)}"
    return Problem(409, "already_exists", detail)


def still_referenced(entity: str) -> Problem:
    """Return the problem of a row to delete that a row of this entity refers to."""
    return Problem(409, "still_referenced", f"At least one {entity.replace('_', ' ')} refers to it")


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
USER_NOT_FOUND = not_found("user")
USER_TO_CHANGE_NOT_FOUND = Problem(404, "not_found", "The user with this id does not exist in the system")
ACCOUNT_NOT_FOUND = not_found("account")
TRANSFER_NOT_FOUND = not_found("transfer")
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
UNREADABLE_BODY = Problem(400, "bad_request", "There was an error parsing the body")
BODY_TOO_LARGE = Problem(413, "body_too_large", "Content Too Large")
QUERY_TOO_LONG = Problem(414, "query_too_long", f"The query is longer than {MAX_QUERY_BYTES} bytes")
HEADERS_TOO_LARGE = Problem(
    431, "headers_too_large", f"The headers are larger than {MAX_HEADER_BYTES} bytes"
)
INTERNAL_ERROR = Problem(500, "internal_error", "Internal server error (id 0123456789abcdef)")
NO_TRANSACTIONS = not_supported(Capability.TRANSACTIONS)
UNAVAILABLE = Problem(503, "unavailable", "The database is not available; try again later")
TOO_BUSY = Problem(503, "too_busy", "Too many are signing in; try again later", {"Retry-After": "10"})
CONFLICT = Problem(503, "conflict", "Too many changes at the same time; try again")

TOKEN_PROBLEMS = (NOT_AUTHENTICATED, INVALID_TOKEN, USER_NOT_FOUND, INACTIVE_USER)
"""The problems of every route that requires a bearer token."""

ALWAYS_POSSIBLE = (
    BODY_TOO_LARGE,
    QUERY_TOO_LONG,
    HEADERS_TOO_LARGE,
    INTERNAL_ERROR,
    UNAVAILABLE,
    CONFLICT,
    TOO_BUSY,
)
"""The problems that every route can return."""


def too_many_attempts(retry_after_seconds: int) -> Problem:
    """Return TOO_MANY_ATTEMPTS with a `Retry-After` header."""
    return replace(TOO_MANY_ATTEMPTS, headers={"Retry-After": str(retry_after_seconds)})
