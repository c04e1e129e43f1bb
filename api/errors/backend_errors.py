"""The mapping from backend errors to problems."""

from __future__ import annotations

from dataclasses import dataclass, replace

from api.errors.problems import (
    ACCOUNT_NOT_EMPTY,
    ACCOUNT_NOT_FOUND,
    ALREADY_EXISTS,
    CONFLICT,
    EMAIL_TAKEN,
    INSUFFICIENT_FUNDS,
    ITEM_NOT_FOUND,
    NOT_OWNER,
    STILL_REFERENCED,
    TRANSFER_NOT_FOUND,
    UNAVAILABLE,
    USER_HAS_MONEY,
    USER_NOT_FOUND,
    VERSION_MISMATCH,
    Problem,
    not_supported,
)
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
    StillReferenced,
    Unavailable,
    VersionMismatch,
)
from backends.models import MAX_MINOR

_NOT_FOUND = {
    "user": USER_NOT_FOUND,
    "item": ITEM_NOT_FOUND,
    "account": ACCOUNT_NOT_FOUND,
    "transfer": TRANSFER_NOT_FOUND,
}
_NOT_EMPTY = {"account": ACCOUNT_NOT_EMPTY, "user": USER_HAS_MONEY}

_PROBLEMS: dict[type[BackendError], Problem] = {
    NotOwner: NOT_OWNER,
    VersionMismatch: VERSION_MISMATCH,
    InsufficientFunds: INSUFFICIENT_FUNDS,
    StillReferenced: STILL_REFERENCED,
}


@dataclass(frozen=True, slots=True)
class ValidationProblem:
    """A validation error that only the database can detect: a 422 with its own code."""

    code: str
    loc: tuple[str, str]
    msg: str


VALIDATION_PROBLEMS: dict[type[BackendError], ValidationProblem] = {
    IdempotencyKeyReused: ValidationProblem(
        "idempotency_key_reused",
        ("header", "idempotency-key"),
        "The key was used for another request; take a new one",
    ),
    CurrencyMismatch: ValidationProblem(
        "currency_mismatch", ("body", "to_account_id"), "The accounts should have the same currency"
    ),
    BalanceOverflow: ValidationProblem(
        "balance_overflow", ("body", "amount_minor"), f"The balance should not exceed {MAX_MINOR}"
    ),
}


def problem_of(error: BackendError) -> Problem | None:
    """Return the problem that a backend error stands for; None if it is an internal error."""
    if known := _PROBLEMS.get(type(error)):
        return known
    match error:
        case NotFound() | AccountNotEmpty():
            return (_NOT_FOUND if isinstance(error, NotFound) else _NOT_EMPTY)[error.entity]
        case AlreadyExists():
            return EMAIL_TAKEN if error.field == "email" else ALREADY_EXISTS
        case NotSupported():
            return not_supported(error.capability)
        case Unavailable():
            problem = CONFLICT if isinstance(error, Conflict) else UNAVAILABLE
            return replace(problem, headers={"Retry-After": str(error.retry_after_seconds)})
    return None
