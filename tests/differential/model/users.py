"""Users: sign-up, log-in, the own account, and administration."""

from __future__ import annotations

from tests.differential.edge_cases import EMAILS
from tests.differential.model.calls import Call
from tests.differential.model.pages import page_of
from tests.differential.model.responses import (
    EMAIL_TAKEN,
    INACTIVE_USER,
    NOT_PRIVILEGED,
    USER_HAS_MONEY,
    USER_NOT_FOUND,
    Expected,
    Refusal,
    invalid,
    message,
    refused,
    success,
)
from tests.differential.model.state import LOGIN_LIMIT, RECOVERY_LIMIT, State, User, handles
from tests.differential.model.validation import (
    NEW_USER,
    PASSWORDS,
    PRIVATE_USER,
    RESET,
    SIGN_UP,
    USER,
    USER_ME,
    normalised,
)

INCORRECT_LOGIN = refused(400, "incorrect_login", "Incorrect email or password")
INVALID_RESET = refused(400, "invalid_token", "Invalid token")
PASSWORD_UPDATED = message("Password updated successfully")
SELF_DELETION = refused(403, "forbidden", "Super users are not allowed to delete themselves")
RECOVERY = message("If that email is registered, we sent a password recovery link")


def _of_email(state: State, email: str) -> User | None:
    normal = EMAILS.get(email)
    return next((user for user in state.users.values() if user.email == normal), None)


def _add(state: State, taken: str, **values: object) -> Expected:
    if any(user.email == values["email"] for user in state.users.values()):
        raise Refusal(refused(400, "already_exists", taken))
    user = User(**state.new(), **values)  # type: ignore[arg-type]  # of a form
    state.users[user.id] = user
    return success(user.shown, etag=user.etag)


@handles("users-register_user")
def sign_up(state: State, call: Call) -> Expected:
    """Create an account for the caller."""
    values = state.body(call, SIGN_UP)
    return _add(state, "The user with this email already exists in the system", **values)


@handles("users-create_user")
def create(state: State, call: Call) -> Expected:
    """Create a user with any fields."""
    state.caller(call, superuser=True)
    return _add(
        state, "The user with this email already exists in the system.", **state.body(call, NEW_USER)
    )


@handles("private-create_user")
def create_privately(state: State, call: Call) -> Expected:
    """Create a user without authentication."""
    values = state.body(call, PRIVATE_USER)
    values.pop("is_verified", None)
    return _add(state, "The user with this email already exists in the system.", **values)


@handles("login-login_access_token")
def log_in(state: State, call: Call) -> Expected:
    """Return a token for address and password."""
    form = dict(call.form or ())
    missing = [name for name in ("username", "password") if not form.get(name)]
    if missing:
        return invalid([["body", name] for name in missing])
    email = form["username"]
    account = EMAILS.get(email) or email
    state.attempt("login", account, LOGIN_LIMIT, counts=False)
    user = _of_email(state, email)
    if user is None or user.password != normalised(form["password"]):
        state.attempt("login", account, LOGIN_LIMIT, counts=True)
        return INCORRECT_LOGIN
    if not user.is_active:
        return INACTIVE_USER
    return success({"access_token": state.sign_in(user), "token_type": "bearer"})


@handles("login-test_token")
def test_token(state: State, call: Call) -> Expected:
    """Return the user of the token."""
    return success(state.caller(call).shown)


@handles("login-recover_password")
def recover(state: State, call: Call) -> Expected:
    """Send a password recovery email."""
    email = call.path[0]
    state.attempt("recovery", EMAILS.get(email) or email, RECOVERY_LIMIT, counts=True)
    return RECOVERY


@handles("login-recover_password_html_content")
def recovery_page(state: State, call: Call) -> Expected:
    """Return the recovery email as a page; the caller reads its token from the page."""
    state.caller(call, superuser=True)
    if _of_email(state, call.path[0]) is None:
        return refused(404, "not_found", "The user with this username does not exist in the system.")
    return Expected(200, headers={"subject": "Reset your EitherDB password"})


def record_reset_token(state: State, call: Call, token: str) -> None:
    """Record the token that the page shows as valid."""
    user = _of_email(state, call.path[0])
    assert user is not None
    state.resets[token] = (user.id, user.password, user.email)


@handles("login-reset_password")
def reset(state: State, call: Call) -> Expected:
    """Set a password with an emailed token."""
    values = state.body(call, RESET)
    user_id, password, email = state.resets.get(values["token"], ("", "", ""))
    user = state.users.get(user_id)
    if user is None or (user.password, user.email) != (password, email):
        return INVALID_RESET
    if not user.is_active:
        return INACTIVE_USER
    user.password = values["new_password"]
    user.version += 1
    user.session += 1
    return PASSWORD_UPDATED


@handles("users-read_user_me")
def read_me(state: State, call: Call) -> Expected:
    """Return the caller."""
    return state.show(state.caller(call), call)


def _change(state: State, call: Call, user: User, values: dict[str, object], *, ends: bool) -> Expected:
    state.expect_version(user, call)
    others = [other for other in state.users.values() if other is not user]
    if any(other.email == values.get("email") for other in others):
        raise Refusal(EMAIL_TAKEN)
    vars(user).update(values)
    user.session += ends
    user.version += bool(values) or ends
    return success(user.shown, etag=user.etag)


@handles("users-update_user_me")
def update_me(state: State, call: Call) -> Expected:
    """Change the caller's name and address."""
    user = state.caller(call)
    return _change(state, call, user, state.body(call, USER_ME), ends=False)


@handles("users-update_password_me")
def change_password(state: State, call: Call) -> Expected:
    """Change the caller's password; the sessions stay valid."""
    user = state.caller(call)
    values = state.body(call, PASSWORDS)
    state.attempt("login", user.email, LOGIN_LIMIT, counts=False)
    if values["current_password"] != user.password:
        state.attempt("login", user.email, LOGIN_LIMIT, counts=True)
        return refused(400, "incorrect_password", "Incorrect password")
    if values["new_password"] == user.password:
        words = "New password cannot be the same as the current one"
        return refused(400, "same_password", words)
    state.expect_version(user, call)
    user.password = values["new_password"]
    user.version += 1
    return PASSWORD_UPDATED


@handles("users-logout_everywhere")
def log_out_everywhere(state: State, call: Call) -> Expected:
    """End all sessions of the caller."""
    user = state.caller(call)
    user.session += 1
    user.version += 1
    return message("All sessions ended")


@handles("users-read_user_by_id")
def read(state: State, call: Call) -> Expected:
    """Return a user: the caller, or any user for a superuser."""
    caller = state.caller(call)
    if call.path[0] != caller.id and not caller.is_superuser:
        return NOT_PRIVILEGED
    user = state.users.get(call.path[0])
    return USER_NOT_FOUND if user is None else state.show(user, call)


@handles("users-update_user")
def update(state: State, call: Call) -> Expected:
    """Change any field of a user; some changes end the user's sessions."""
    caller = state.caller(call, superuser=True)
    values = state.body(call, USER)
    user = state.users.get(call.path[0])
    if user is None:
        return refused(404, "not_found", "The user with this id does not exist in the system")
    ends = values.get("is_active") is False or ("password" in values and user is not caller)
    return _change(state, call, user, values, ends=ends)


def _delete(state: State, call: Call, user: User) -> Expected:
    state.expect_version(user, call)
    accounts = [account for account in state.accounts.values() if account.owner_id == user.id]
    if any(account.balance_minor for account in accounts):
        return USER_HAS_MONEY
    for account in accounts:
        del state.accounts[account.id]
    for item in [item for item in state.items.values() if item.owner_id == user.id]:
        del state.items[item.id]
    del state.users[user.id]
    return message("User deleted successfully")


@handles("users-delete_user_me")
def delete_me(state: State, call: Call) -> Expected:
    """Delete the caller."""
    user = state.caller(call)
    return SELF_DELETION if user.is_superuser else _delete(state, call, user)


@handles("users-delete_user")
def delete(state: State, call: Call) -> Expected:
    """Delete a user with all items and empty accounts."""
    caller = state.caller(call, superuser=True)
    user = state.users.get(call.path[0])
    if user is caller:
        return SELF_DELETION
    return USER_NOT_FOUND if user is None else _delete(state, call, user)


@handles("users-read_users")
def list_users(state: State, call: Call) -> Expected:
    """List all users."""
    state.caller(call, superuser=True)
    return page_of(state, call, "users", list(state.users.values()))


@handles("utils-test_email")
def test_email(state: State, call: Call) -> Expected:
    """Send a test email."""
    state.caller(call, superuser=True)
    if EMAILS.get(dict(call.query).get("email_to", "")) is None:
        return invalid([["query", "email_to"]])
    return success({"message": "Test email sent"}, status=201)


@handles("utils-health_check")
def health_check(_state: State, _call: Call) -> Expected:
    """Report that the process is alive."""
    return success(value=True)


@handles("PUT /api/v1/users/me")
def refuse_put(_state: State, _call: Call) -> Expected:
    """Refuse a method that the path doesn't have."""
    return refused(405, "method_not_allowed", "Method Not Allowed", allow="GET, HEAD, PATCH, DELETE")


@handles("GET /api/v1/nowhere")
def refuse_unknown_path(_state: State, _call: Call) -> Expected:
    """Refuse an unknown path."""
    return refused(404, "not_found", "Not Found")
