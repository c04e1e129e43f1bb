"""Routes of login and password recovery."""

from __future__ import annotations

import logging
from typing import Annotated, Any

from fastapi import Depends
from fastapi.responses import HTMLResponse
from fastapi.security import OAuth2PasswordRequestForm

from api.deps import (
    AppSettings,
    Client,
    CurrentUser,
    Mail,
    PasswordHashing,
    Superuser,
    Throttling,
    Users,
)
from api.emails import PasswordResetEmail, render
from api.errors import (
    INACTIVE_USER,
    INCORRECT_LOGIN,
    INVALID_RESET_TOKEN,
    MAIL_RECIPIENT_NOT_FOUND,
    NOT_PRIVILEGED,
    TOKEN_PROBLEMS,
    TOO_MANY_ATTEMPTS,
    ApiError,
    documented,
)
from api.routing import make_router
from api.schemas import Message, NewPassword, Token, UserPublic
from api.security import make_access_token, make_reset_token, read_reset_token
from backends.errors import BackendError, NotFound, VersionMismatch
from backends.models import User, UserChanges
from backends.protocols import UserRepository

logger = logging.getLogger(__name__)

router = make_router("login")

SUBJECT: dict[int | str, dict[str, Any]] = {
    200: {
        "headers": {"Subject": {"description": "The subject of the email.", "schema": {"type": "string"}}}
    }
}

RECOVERY_MESSAGE = "If that email is registered, we sent a password recovery link"


@router.post(
    "/login/access-token",
    response_model=Token,
    responses=documented(INCORRECT_LOGIN, INACTIVE_USER, TOO_MANY_ATTEMPTS),
)
async def login_access_token(
    form: Annotated[OAuth2PasswordRequestForm, Depends()],
    users: Users,
    passwords: PasswordHashing,
    throttle: Throttling,
    client: Client,
    settings: AppSettings,
) -> Token:
    """Exchange an email address (as `username`) and a password for a bearer token."""
    async with throttle.attempt(form.username, client) as attempt:
        user = await users.find_by_email(form.username)
        verification = await passwords.verify(form.password, user)
        attempt.succeeded = verification.matches
    if user is None or not verification.matches:
        await passwords.delay_rejection(verification)
        raise ApiError(INCORRECT_LOGIN)
    if not user.is_active:
        raise ApiError(INACTIVE_USER)
    if verification.new_hash is not None:
        await _upgrade_hash(users, user, verification.new_hash)
    return Token(access_token=make_access_token(user, settings))


async def _upgrade_hash(users: UserRepository, user: User, new_hash: str) -> None:
    """Store the new hash unless the password has been changed; a database that can't ends no login."""
    try:
        await users.replace_hash(user.id, old=user.hashed_password, new=new_hash)
    except BackendError as exc:
        logger.warning("the outdated password hash of user %s stays: %s", user.id, exc)


@router.post("/login/test-token", response_model=UserPublic, responses=documented(*TOKEN_PROBLEMS))
async def test_token(user: CurrentUser) -> User:
    """Return the user of the token."""
    return user


@router.post(
    "/password-recovery/{email:path}", response_model=Message, responses=documented(TOO_MANY_ATTEMPTS)
)
async def recover_password(
    email: str, users: Users, mail: Mail, throttle: Throttling, client: Client, settings: AppSettings
) -> Message:
    """Send an email with a link to reset the password. The response is the same for unknown addresses."""
    allowed = await throttle.allow_email(email, client)
    user = await users.find_by_email(email)
    if user is not None and allowed:
        mail.send(PasswordResetEmail(to=user.email, token=make_reset_token(user, settings)))
    return Message(message=RECOVERY_MESSAGE)


@router.post(
    "/reset-password/", response_model=Message, responses=documented(INVALID_RESET_TOKEN, INACTIVE_USER)
)
async def reset_password(
    body: NewPassword,
    users: Users,
    passwords: PasswordHashing,
    throttle: Throttling,
    client: Client,
    settings: AppSettings,
) -> Message:
    """Set a new password with a token from an email. It works once. All sessions end."""
    reset = read_reset_token(body.token, settings)
    if reset is None:
        raise ApiError(INVALID_RESET_TOKEN)
    hashed_password: str | None = None
    while True:
        try:
            user = await users.get(reset.user_id)
            if not reset.fits(user):
                raise ApiError(INVALID_RESET_TOKEN)
            if not user.is_active:
                raise ApiError(INACTIVE_USER)
            hashed_password = hashed_password or await passwords.hash(body.new_password)
            changes = UserChanges(hashed_password=hashed_password)
            await users.update(user.id, changes, versions={user.version}, end_sessions=True)
        except NotFound as exc:
            raise ApiError(INVALID_RESET_TOKEN) from exc
        except VersionMismatch:
            continue  # The user changed: perhaps the password, with the same token.
        await throttle.remember(user.email, client)
        return Message(message="Password updated successfully")


@router.post(
    "/password-recovery-html-content/{email:path}",
    response_class=HTMLResponse,
    responses={**SUBJECT, **documented(*TOKEN_PROBLEMS, NOT_PRIVILEGED, MAIL_RECIPIENT_NOT_FOUND)},
)
async def recover_password_html_content(
    email: str, _: Superuser, users: Users, settings: AppSettings
) -> HTMLResponse:
    """Return the recovery email with a working link, and its subject as a header."""
    user = await users.find_by_email(email)
    if user is None:
        raise ApiError(MAIL_RECIPIENT_NOT_FOUND)
    rendered = render(PasswordResetEmail(to=user.email, token=make_reset_token(user, settings)), settings)
    return HTMLResponse(
        rendered.html, headers={"Subject": rendered.subject.encode("ascii", "replace").decode()}
    )
