"""Hooks of schemathesis: what it must know about this API that an OpenAPI document can't express.

The module runs in schemathesis's own process; `schemathesis.toml` names it.
"""

from __future__ import annotations

import os
from typing import Any

import requests
import schemathesis
from hypothesis import strategies as st
from schemathesis import AuthContext, Case, HookContext, Response
from schemathesis.core.failures import Failure
from schemathesis.openapi.checks import AllowHeaderMismatch, RejectedPositiveData

from tests.fuzz import TOKEN_URL

# Errors that depend on stored data, not on the validity of the request.
STATE_CODES = {
    "account_not_empty",
    "already_exists",
    "balance_overflow",
    "currency_mismatch",
    "idempotency_key_reused",
    "incorrect_login",
    "incorrect_password",
    "insufficient_funds",
    "invalid_token",
    "same_password",
    "still_referenced",
    "version_mismatch",
}
# Invalid values in a valid form: a cursor that was not issued, three letters that are no currency, equal
# accounts, 5.0, which JSON Schema counts as an integer, the id of no row, and a rule over several fields.
VALUE_FAULTS = {"currency", "cursor", "int_type", "reference_not_found", "same_account", "value_error"}

# Hypothesis's own strategy takes most of a run's time and generates reserved names, which are refused.
ADDRESS = r"\A[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]{1,64}@[a-z0-9]{1,63}\.example\.com\Z"
schemathesis.openapi.format("email", st.from_regex(ADDRESS))


class Token:
    """A new token for each call, because the call before may have ended the account or the session."""

    def get(self, _case: Case[Any], _context: AuthContext) -> str:
        """Request a token from the test's server."""
        return requests.get(os.environ[TOKEN_URL], timeout=30).text

    def set(self, case: Case[Any], data: str, _context: AuthContext) -> None:
        """Add the token to the call."""
        case.headers["Authorization"] = f"Bearer {data}"


if TOKEN_URL in os.environ:
    schemathesis.auth(refresh_interval=None)(Token)


@schemathesis.hook
def map_headers(_context: HookContext, headers: dict[str, object] | None) -> dict[str, object] | None:
    """Let half of the preconditions match. A generated tag never does, so nothing would be changed."""
    value = headers and headers.get("if-match")
    if headers and isinstance(value, str) and len(value) % 2:
        headers["if-match"] = "*"
    return headers


def _is_of_value(fault: dict[str, Any]) -> bool:
    # The length of a password is that of its normal form, which a schema can't say.
    is_password = str(fault["loc"][-1]).endswith("password")
    return fault["type"] in VALUE_FAULTS or (is_password and fault["type"].startswith("string_too_"))


@schemathesis.hook
def filter_failure(_context: HookContext, failure: Failure, case: Case[Any], response: Response) -> bool:
    """Separate failures of the API from documented behaviour."""
    if isinstance(failure, RejectedPositiveData):
        body: dict[str, Any] = response.json()
        if body["code"] == "validation_error":
            return any(not _is_of_value(fault) for fault in body["detail"])
        return body["code"] not in STATE_CODES
    if isinstance(failure, AllowHeaderMismatch):
        # GET, PATCH and DELETE work there: on the user with the id "signup" and the row with the id "bulk".
        return not str(case.operation.path).endswith(("/users/signup", "/bulk"))
    return True
