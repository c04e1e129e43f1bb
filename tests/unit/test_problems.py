"""Each error of a backend, and what it is to a client."""

from __future__ import annotations

import pytest

from api.errors import VALIDATION_PROBLEMS, problem_of
from backends.capabilities import Capability
from backends.errors import (
    AccountNotEmpty,
    AlreadyExists,
    BackendError,
    BalanceOverflow,
    Conflict,
    ConnectionLost,
    CurrencyMismatch,
    ForeignSchema,
    IdempotencyKeyReused,
    InsufficientFunds,
    NotFound,
    NotOwner,
    NotSupported,
    PermissionDenied,
    ResourcesMissing,
    RevisionMismatch,
    RuleBroken,
    SchemaDrifted,
    SchemaMismatch,
    ServerUnfit,
    StillReferenced,
    Unavailable,
    UnreadableRow,
    VersionMismatch,
)

ID = "6b033b863d1ef9f35065c8d0"

# Status, code and a word of the detail; None where it is an internal error.
ANSWERS: list[tuple[BackendError, tuple[int, str, str] | None]] = [
    (NotFound("user", ID), (404, "not_found", "User")),
    (NotFound("item", ID), (404, "not_found", "Item")),
    (NotFound("account", ID), (404, "not_found", "Account")),
    (NotFound("transfer", ID), (404, "not_found", "Transfer")),
    (NotOwner("item", ID), (403, "forbidden", "permissions")),
    (VersionMismatch("item", ID), (412, "version_mismatch", "changed")),
    (AlreadyExists("user", "email"), (409, "already_exists", "email")),
    (AlreadyExists("user", "id"), (409, "already_exists", "value")),
    (AccountNotEmpty("account", ID), (409, "account_not_empty", "in the account")),
    (AccountNotEmpty("user", ID), (409, "account_not_empty", "of the user")),
    (InsufficientFunds(ID), (409, "insufficient_funds", "less")),
    (StillReferenced("author", ID, "book"), (409, "still_referenced", "refers")),
    *(
        (NotSupported("operation", capability), (501, "not_supported", capability.remedy))
        for capability in Capability
    ),
    (Unavailable("reason"), (503, "unavailable", "not available")),
    (ConnectionLost("reason"), (503, "unavailable", "not available")),
    (Conflict("reason"), (503, "conflict", "at the same time")),
    (PermissionDenied("reason"), (503, "unavailable", "not available")),
    (SchemaMismatch("no table"), None),
    (RevisionMismatch(None, "0001"), None),
    (ForeignSchema("a table", "remedy"), None),
    (ResourcesMissing(["books"]), None),
    (SchemaDrifted(["books: no index"]), None),
    (ServerUnfit(["no encoding"]), None),
    (UnreadableRow("items", ID, "reason"), None),
    (BackendError("reason"), None),
    # A 422 with its own problems: `api.errors.handlers`.
    (RuleBroken("book", [{"type": "value_error", "loc": (), "msg": "reason"}]), None),
]
INVALID: list[tuple[BackendError, tuple[str, tuple[str, str]]]] = [
    (IdempotencyKeyReused("key"), ("idempotency_key_reused", ("header", "idempotency-key"))),
    (CurrencyMismatch("EUR", "USD"), ("currency_mismatch", ("body", "to_account_id"))),
    (BalanceOverflow(ID), ("balance_overflow", ("body", "amount_minor"))),
]


@pytest.mark.parametrize(("error", "expected"), ANSWERS, ids=repr)
def test_error_is_this_problem(error: BackendError, expected: tuple[int, str, str] | None) -> None:
    """By its class and its facts; what has no row is an internal error."""
    problem = problem_of(error)
    if expected is None:
        assert problem is None
        return
    assert problem is not None
    assert (problem.status, problem.code) == expected[:2]
    assert expected[2] in problem.detail


def test_unavailable_says_how_long_to_wait() -> None:
    """In seconds, as the error does."""
    for error in (Unavailable("reason", retry_after_seconds=7), Conflict("reason", retry_after_seconds=7)):
        problem = problem_of(error)
        assert problem is not None
        assert problem.headers == {"Retry-After": "7"}
    problem = problem_of(PermissionDenied("reason"))
    assert problem is not None
    assert problem.headers == {"Retry-After": "10"}


@pytest.mark.parametrize(("error", "expected"), INVALID, ids=repr)
def test_error_is_a_fault_of_the_request(
    error: BackendError, expected: tuple[str, tuple[str, str]]
) -> None:
    """A 422 that names the place."""
    fault = VALIDATION_PROBLEMS[type(error)]
    assert (fault.code, fault.loc) == expected
    assert problem_of(error) is None


def test_every_error_is_tried_above() -> None:
    """And each entity that may not be found."""

    def tree(kind: type[BackendError]) -> set[type[BackendError]]:
        return {kind}.union(*map(tree, kind.__subclasses__()))

    tried = [error for error, _ in (*ANSWERS, *INVALID)]
    ours = {kind for kind in tree(BackendError) if kind.__module__ == "backends.errors"}
    assert {type(error) for error in tried} == ours
    assert {error.entity for error in tried if isinstance(error, NotFound)} == {
        "user",
        "item",
        "account",
        "transfer",
    }
