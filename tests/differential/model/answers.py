"""Answers as the model expects them."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

Location = list[str | int]


@dataclass(frozen=True)
class Expected:
    """What an answer must be.

    Attributes:
        status: Its status.
        code: The code in its body; empty for what is no error.
        body: The whole body; None where the model does not say it (the words of a 422, a page).
        faults: Where a 422 finds fault, in this order; None where the model does not say it.
        headers: Of those that depend on the call, all that it has.
    """

    status: int
    code: str = ""
    body: bytes | None = None
    faults: list[Location] | None = None
    headers: dict[str, str] = field(default_factory=dict)


def written(value: object) -> bytes:
    """Write JSON as the API does: without spaces, text as it is."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()


def shown_time(time: datetime) -> str:
    """Write a time as the API does: three digits of a second, always."""
    return f"{time:%Y-%m-%dT%H:%M:%S}.{time.microsecond // 1000:03}Z"


def success(value: object, *, etag: str | None = None, status: int = 200) -> Expected:
    """Expect this value."""
    return Expected(status, body=written(value), headers={} if etag is None else {"etag": etag})


def message(text: str) -> Expected:
    """Expect this sentence."""
    return success({"message": text})


def not_modified(etag: str) -> Expected:
    """Expect to be told that nothing changed."""
    return Expected(304, body=b"", headers={"etag": etag})


def refused(status: int, code: str, detail: str, **headers: str) -> Expected:
    """Expect an error; the names of headers have an underscore for each hyphen."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Expected(status, code, written({"detail": detail, "code": code}), headers=named)


def invalid(faults: list[Location] | None) -> Expected:
    """Expect a 422 that finds these faults, in words that are the same on every backend."""
    return Expected(422, "validation_error", faults=faults)


def fault(code: str, location: Location, words: str) -> Expected:
    """Expect a 422 that only the stored rows can give."""
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
    """Ends a call with this answer."""

    def __init__(self, expected: Expected) -> None:
        super().__init__(expected)
        self.expected = expected
