"""Responses of the contract: error bodies verbatim, and the JSON of users and items.

The texts stand here a second time on purpose: a change of the product's words must fail a test.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

import httpx2

from backends.capabilities import Capability
from backends.models import Account, Item, Transfer, User
from backends.protocols import Backend

Location = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class Refusal:
    """An error answer, whole."""

    status: int
    detail: str
    code: str


NOT_AUTHENTICATED = Refusal(401, "Not authenticated", "not_authenticated")
INVALID_TOKEN = Refusal(403, "Could not validate credentials", "invalid_token")
INACTIVE_USER = Refusal(400, "Inactive user", "inactive_user")
USER_NOT_FOUND = Refusal(404, "User not found", "not_found")
NOT_PRIVILEGED = Refusal(403, "The user doesn't have enough privileges", "forbidden")
SELF_DELETION = Refusal(403, "Super users are not allowed to delete themselves", "forbidden")
INCORRECT_LOGIN = Refusal(400, "Incorrect email or password", "incorrect_login")
INCORRECT_PASSWORD = Refusal(400, "Incorrect password", "incorrect_password")
SAME_PASSWORD = Refusal(400, "New password cannot be the same as the current one", "same_password")
EMAIL_TAKEN_AT_SIGNUP = Refusal(
    400, "The user with this email already exists in the system", "already_exists"
)
EMAIL_TAKEN_AT_CREATE = Refusal(
    400, "The user with this email already exists in the system.", "already_exists"
)
EMAIL_TAKEN = Refusal(409, "User with this email already exists", "already_exists")
USER_TO_CHANGE_NOT_FOUND = Refusal(404, "The user with this id does not exist in the system", "not_found")
ITEM_NOT_FOUND = Refusal(404, "Item not found", "not_found")
NOT_OWNER = Refusal(403, "Not enough permissions", "forbidden")
NO_SUCH_PATH = Refusal(404, "Not Found", "not_found")
NO_SUCH_METHOD = Refusal(405, "Method Not Allowed", "method_not_allowed")
VERSION_MISMATCH = Refusal(412, "It was changed meanwhile; read it again", "version_mismatch")
INVALID_RESET_TOKEN = Refusal(400, "Invalid token", "invalid_token")
MAIL_RECIPIENT_NOT_FOUND = Refusal(
    404, "The user with this username does not exist in the system.", "not_found"
)
TOO_MANY_ATTEMPTS = Refusal(429, "Too many attempts; try again later", "too_many_attempts")
UNREADABLE = Refusal(400, "There was an error parsing the body", "bad_request")
BODY_TOO_LARGE = Refusal(413, "Content Too Large", "body_too_large")
QUERY_TOO_LONG = Refusal(414, "The query is longer than 8192 bytes", "query_too_long")
HEADERS_TOO_LARGE = Refusal(431, "The headers are larger than 16384 bytes", "headers_too_large")
ACCOUNT_NOT_FOUND = Refusal(404, "Account not found", "not_found")
TRANSFER_NOT_FOUND = Refusal(404, "Transfer not found", "not_found")
ACCOUNT_NOT_EMPTY = Refusal(409, "There is money in the account", "account_not_empty")
USER_HAS_MONEY = Refusal(409, "There is money in an account of the user", "account_not_empty")
INSUFFICIENT_FUNDS = Refusal(409, "The account has less than that", "insufficient_funds")
INTERNAL_ERROR = Refusal(500, "Internal server error (id 0123456789abcdef)", "internal_error")
UNAVAILABLE = Refusal(503, "The database is not available; try again later", "unavailable")
TOO_BUSY = Refusal(503, "Too many are signing in; try again later", "too_busy")
CONFLICT = Refusal(503, "Too many changes at the same time; try again", "conflict")
NO_TRANSACTIONS = Refusal(
    501,
    f"This server can't do that: it needs transactions: {Capability.TRANSACTIONS.remedy}",
    "not_supported",
)

MESSAGE_RECOVERY = {"message": "If that email is registered, we sent a password recovery link"}
MESSAGE_SESSIONS_ENDED = {"message": "All sessions ended"}
MESSAGE_TEST_MAIL = {"message": "Test email sent"}
MESSAGE_ITEM_DELETED = {"message": "Item deleted successfully"}
MESSAGE_ACCOUNT_DELETED = {"message": "Account deleted successfully"}
MESSAGE_USER_DELETED = {"message": "User deleted successfully"}
MESSAGE_PASSWORD_UPDATED = {"message": "Password updated successfully"}


def assert_ok(answer: httpx2.Response, body: object) -> None:
    """Check that it is a success with exactly this JSON."""
    assert (answer.status_code, answer.json()) == (200, body)
    assert answer.headers["Content-Type"] == "application/json"


def assert_refused(answer: httpx2.Response, refusal: Refusal) -> None:
    """Check status, body and the header that goes with a 401 and with nothing else."""
    body = {"detail": refusal.detail, "code": refusal.code}
    assert (answer.status_code, answer.json()) == (refusal.status, body)
    assert answer.headers["Content-Type"] == "application/json"
    assert answer.headers.get("WWW-Authenticate") == ("Bearer" if refusal.status == 401 else None)


def assert_invalid(answer: httpx2.Response, *locations: Location) -> None:
    """Check that it is a 422 in FastAPI's form that finds fault with exactly these places."""
    assert answer.status_code == 422, answer.text
    body = answer.json()
    assert (body["code"], set(body)) == ("validation_error", {"detail", "code"})
    assert sorted(tuple(fault["loc"]) for fault in body["detail"]) == sorted(locations)
    for fault in body["detail"]:
        assert {key: type(value) for key, value in fault.items()} == {"loc": list, "msg": str, "type": str}


def was_deleted(answer: httpx2.Response, backend: Backend) -> bool:
    """Check the answer to the deletion of a user; tell whether this server was able to do it."""
    if Capability.TRANSACTIONS in backend.capabilities:
        assert_ok(answer, MESSAGE_USER_DELETED)
        return True
    assert_refused(answer, NO_TRANSACTIONS)
    return False


def refusal_to_delete_nobody(backend: Backend) -> Refusal:
    """Return what the deletion of a user who does not exist is answered with on this server."""
    return USER_NOT_FOUND if Capability.TRANSACTIONS in backend.capabilities else NO_TRANSACTIONS


def shown_time(time: datetime) -> str:
    """Write a time as the API does."""
    return f"{time:%Y-%m-%dT%H:%M:%S}.{time.microsecond // 1000:03}Z"


def shown_user(user: User, **changes: Any) -> dict[str, Any]:
    """Return the JSON of a user, after some changes."""
    shown = {
        "id": user.id,
        "email": user.email,
        "is_active": user.is_active,
        "is_superuser": user.is_superuser,
        "full_name": user.full_name,
        "created_at": shown_time(user.created_at),
    }
    return {**shown, **changes}


def shown_account(account: Account, **changes: Any) -> dict[str, Any]:
    """Return the JSON of an account, after some changes."""
    shown = {
        "id": account.id,
        "owner_id": account.owner_id,
        "name": account.name,
        "currency": account.currency,
        "balance_minor": account.balance_minor,
        "created_at": shown_time(account.created_at),
    }
    return {**shown, **changes}


def shown_transfer(transfer: Transfer) -> dict[str, Any]:
    """Return the JSON of an entry of the ledger."""
    return {
        "id": transfer.id,
        "from_account_id": transfer.source and transfer.source.account_id,
        "to_account_id": transfer.target and transfer.target.account_id,
        "amount_minor": transfer.amount_minor,
        "note": transfer.note,
        "created_at": shown_time(transfer.created_at),
        "idempotency_key": transfer.idempotency_key,
    }


def shown_item(item: Item, **changes: Any) -> dict[str, Any]:
    """Return the JSON of an item, after some changes."""
    shown = {
        "id": item.id,
        "title": item.title,
        "description": item.description,
        "owner_id": item.owner_id,
        "created_at": shown_time(item.created_at),
    }
    return {**shown, **changes}
