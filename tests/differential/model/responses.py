"""The responses that the model expects."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

Location = list[str | int]


@dataclass(frozen=True)
class Expected:
    """An expected response.

    Attributes:
        status: The status code.
        code: The error code in the body; empty for a success.
        body: The whole body; None if the model does not define it (the texts of a 422, a page).
        faults: The locations of the errors of a 422, in order; None if the model does not define them.
        headers: All headers that depend on the call.
    """

    status: int
    code: str = ""
    body: bytes | None = None
    faults: list[Location] | None = None
    headers: dict[str, str] = field(default_factory=dict)


def written(value: object) -> bytes:
    """Return JSON as the API writes it: without spaces, non-ASCII text unescaped."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()


def shown_time(time: datetime) -> str:
    """Return a time as the API writes it: with three decimals of a second."""
    return f"{time:%Y-%m-%dT%H:%M:%S}.{time.microsecond // 1000:03}Z"


def success(value: object, *, etag: str | None = None, status: int = 200) -> Expected:
    """Expect a success with this value."""
    return Expected(status, body=written(value), headers={} if etag is None else {"etag": etag})


def message(text: str) -> Expected:
    """Expect a success with this message."""
    return success({"message": text})


def not_modified(etag: str) -> Expected:
    """Expect a 304."""
    return Expected(304, body=b"", headers={"etag": etag})


def refused(status: int, code: str, detail: str, **headers: str) -> Expected:
    """Expect an error. The names of headers have an underscore for each hyphen."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Expected(status, code, written({"detail": detail, "code": code}), headers=named)


def invalid(faults: list[Location] | None) -> Expected:
    """Expect a 422 with these locations, and with equal texts on every backend."""
    return Expected(422, "validation_error", faults=faults)


def fault(code: str, location: Location, words: str) -> Expected:
    """Expect a 422 that depends on stored rows."""
    detail: list[dict[str, Any]] = [{"loc": location, "msg": words, "type": code}]
    return Expected(422, code, written({"detail": detail, "code": code}))


NOT_AUTHENTICATED = refused(401, "not_authenticated", "Not authenticated", www_authenticate="Bearer")
INVALID_TOKEN = refused(403, "invalid_token", "Could not validate credentials")
USER_NOT_FOUND = refused(404, "not_found", "User not found")
INACTIVE_USER = refused(400, "inactive_user", "Inactive user")
NOT_PRIVILEGED = refused(403, "forbidden", "The user doesn't have enough privileges")
NOT_OWNER = refused(403, "forbidden", "Not enough permissions")
VERSION_MISMATCH = refused(412, "version_mismatch", "It was changed meanwhile; read it again")
EMAIL_TAKEN = refused(409, "already_exists", "User with this email already exists")
USER_HAS_MONEY = refused(409, "account_not_empty", "There is money in an account of the user")


class Refusal(Exception):
    """Ends a call with this response."""

    def __init__(self, expected: Expected) -> None:
        super().__init__(expected)
        self.expected = expected
