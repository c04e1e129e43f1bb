"""The mapping from backend errors to problems."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from api.errors.problems import (
    ACCOUNT_NOT_EMPTY,
    ALREADY_EXISTS,
    CONFLICT,
    EMAIL_TAKEN,
    INSUFFICIENT_FUNDS,
    NOT_OWNER,
    UNAVAILABLE,
    USER_HAS_MONEY,
    VERSION_MISMATCH,
    Problem,
    already_exists,
    not_found,
    not_supported,
    still_referenced,
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
    if make := _PROBLEMS.get(type(error)):
        return make(error)
    if isinstance(error, Unavailable):
        problem = CONFLICT if isinstance(error, Conflict) else UNAVAILABLE
        return replace(problem, headers={"Retry-After": str(error.retry_after_seconds)})
    return None


def _taken(error: AlreadyExists) -> Problem:
    if error.field == "id":
        return ALREADY_EXISTS
    return EMAIL_TAKEN if error.entity == "user" else already_exists(error.entity, error.field)


_PROBLEMS: dict[type[BackendError], Callable[[Any], Problem]] = {
    NotFound: lambda error: not_found(error.entity),
    NotOwner: lambda _: NOT_OWNER,
    VersionMismatch: lambda _: VERSION_MISMATCH,
    AlreadyExists: _taken,
    StillReferenced: lambda error: still_referenced(error.by),
    AccountNotEmpty: lambda error: ACCOUNT_NOT_EMPTY if error.entity == "account" else USER_HAS_MONEY,
    InsufficientFunds: lambda _: INSUFFICIENT_FUNDS,
    NotSupported: lambda error: not_supported(error.capability),
}
