"""Routes of users: sign-up, the caller's own user, and administration."""

from __future__ import annotations

from typing import Annotated

from fastapi import Query, Response

from api.cursors import list_arguments, page_response
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
from api.emails import NewAccountEmail
from api.errors import (
    EMAIL_TAKEN,
    EMAIL_TAKEN_AT_CREATE,
    EMAIL_TAKEN_AT_SIGNUP,
    INCORRECT_PASSWORD,
    INVALID_TOKEN,
    NO_TRANSACTIONS,
    NOT_PRIVILEGED,
    SAME_PASSWORD,
    SELF_DELETION,
    TOKEN_PROBLEMS,
    TOO_MANY_ATTEMPTS,
    USER_HAS_MONEY,
    USER_NOT_FOUND,
    USER_TO_CHANGE_NOT_FOUND,
    VERSION_MISMATCH,
    ApiError,
    documented,
)
from api.preconditions import ETAG, NOT_MODIFIED, IfMatch, IfNoneMatch, conditional_response, with_etag
from api.routing import make_router
from api.schemas import (
    Message,
    UpdatePassword,
    UserCreate,
    UserListQuery,
    UserPublic,
    UserRegister,
    UsersPublic,
    UserUpdate,
    UserUpdateMe,
)
from backends.errors import AlreadyExists, NotFound, VersionMismatch
from backends.models import NewUser, User, UserChanges, normalise_password

router = make_router("users", "/users")


@router.get("/", response_model=UsersPublic, responses=documented(*TOKEN_PROBLEMS, NOT_PRIVILEGED))
async def read_users(
    _: Superuser, users: Users, query: Annotated[UserListQuery, Query()], settings: AppSettings
) -> Response:
    """List the users."""
    page = await users.list(**list_arguments(query, "users", settings))
    return page_response(page, query, "users", settings)


@router.post(
    "/",
    response_model=UserPublic,
    responses={**ETAG, **documented(*TOKEN_PROBLEMS, NOT_PRIVILEGED, EMAIL_TAKEN_AT_CREATE)},
)
async def create_user(
    _: Superuser,
    body: UserCreate,
    users: Users,
    passwords: PasswordHashing,
    mail: Mail,
    response: Response,
) -> User:
    """Create a user, superusers included, and notify the user by email."""
    hashed_password = await passwords.hash(body.password)
    new = NewUser(hashed_password=hashed_password, **body.model_dump(exclude={"password"}))
    try:
        user = await users.add(new)
    except AlreadyExists as exc:
        raise ApiError(EMAIL_TAKEN_AT_CREATE) from exc
    mail.send(NewAccountEmail(to=user.email))
    return with_etag(user, response)


@router.post("/signup", response_model=UserPublic, responses={**ETAG, **documented(EMAIL_TAKEN_AT_SIGNUP)})
async def register_user(
    body: UserRegister, users: Users, passwords: PasswordHashing, response: Response
) -> User:
    """Sign up. No authentication is required."""
    # The unique index decides below. This look-up only avoids the cost of a hash for a taken address.
    if await users.find_by_email(body.email) is not None:
        raise ApiError(EMAIL_TAKEN_AT_SIGNUP)
    hashed_password = await passwords.hash(body.password)
    new = NewUser(email=body.email, hashed_password=hashed_password, full_name=body.full_name)
    try:
        return with_etag(await users.add(new), response)
    except AlreadyExists as exc:
        raise ApiError(EMAIL_TAKEN_AT_SIGNUP) from exc


@router.get("/me", response_model=UserPublic, responses={**NOT_MODIFIED, **documented(*TOKEN_PROBLEMS)})
async def read_user_me(
    user: CurrentUser, if_none_match: IfNoneMatch, response: Response
) -> User | Response:
    """Return your own user."""
    return conditional_response(user, if_none_match, response)


@router.patch(
    "/me",
    response_model=UserPublic,
    responses={**ETAG, **documented(*TOKEN_PROBLEMS, EMAIL_TAKEN, VERSION_MISMATCH)},
)
async def update_user_me(
    user: CurrentUser, body: UserUpdateMe, users: Users, if_match: IfMatch, response: Response
) -> User:
    """Change your own name or email address."""
    changes = UserChanges(**body.model_dump(exclude_unset=True))
    return with_etag(await users.update(user.id, changes, versions=if_match.versions_of(user.id)), response)


@router.patch(
    "/me/password",
    response_model=Message,
    responses=documented(
        *TOKEN_PROBLEMS, INCORRECT_PASSWORD, SAME_PASSWORD, VERSION_MISMATCH, TOO_MANY_ATTEMPTS
    ),
)
async def update_password_me(
    user: CurrentUser,
    body: UpdatePassword,
    users: Users,
    passwords: PasswordHashing,
    throttle: Throttling,
    client: Client,
    if_match: IfMatch,
) -> Message:
    """Change your own password. Your sessions stay valid."""
    async with throttle.attempt(user.email, client) as attempt:
        attempt.succeeded = (await passwords.verify(body.current_password, user)).matches
    if not attempt.succeeded:
        raise ApiError(INCORRECT_PASSWORD)
    if body.new_password == normalise_password(body.current_password):
        raise ApiError(SAME_PASSWORD)
    changes = UserChanges(hashed_password=await passwords.hash(body.new_password))
    versions = if_match.versions_of(user.id)
    while versions is None or user.version in versions:
        try:
            await users.update(user.id, changes, versions={user.version})
        except VersionMismatch:
            # The user changed since the password was verified, so the verification may be out of date.
            now = await users.get(user.id)
            if now.session_version != user.session_version:
                raise ApiError(INVALID_TOKEN) from None
            if (
                now.hashed_password != user.hashed_password
                # A login elsewhere may have stored another hash of the same password.
                and not (await passwords.verify(body.current_password, now)).matches
            ):
                raise ApiError(INCORRECT_PASSWORD) from None
            user = now
        else:
            return Message(message="Password updated successfully")
    raise ApiError(VERSION_MISMATCH)


@router.post("/me/logout-everywhere", response_model=Message, responses=documented(*TOKEN_PROBLEMS))
async def logout_everywhere(user: CurrentUser, users: Users) -> Message:
    """End all your sessions, the current one included."""
    await users.update(user.id, UserChanges(), end_sessions=True)
    return Message(message="All sessions ended")


@router.delete(
    "/me",
    response_model=Message,
    responses=documented(*TOKEN_PROBLEMS, SELF_DELETION, VERSION_MISMATCH, USER_HAS_MONEY, NO_TRANSACTIONS),
)
async def delete_user_me(user: CurrentUser, users: Users, if_match: IfMatch) -> Message:
    """Delete your own user with all items and empty accounts."""
    if user.is_superuser:
        raise ApiError(SELF_DELETION)
    await users.delete(user.id, versions=if_match.versions_of(user.id))
    return Message(message="User deleted successfully")


@router.get(
    "/{user_id}",
    response_model=UserPublic,
    responses={**NOT_MODIFIED, **documented(*TOKEN_PROBLEMS, NOT_PRIVILEGED, USER_NOT_FOUND)},
)
async def read_user_by_id(
    user_id: str, user: CurrentUser, users: Users, if_none_match: IfNoneMatch, response: Response
) -> User | Response:
    """Return your own user, or any user as a superuser."""
    if user_id != user.id:
        if not user.is_superuser:
            raise ApiError(NOT_PRIVILEGED)
        user = await users.get(user_id)
    return conditional_response(user, if_none_match, response)


@router.patch(
    "/{user_id}",
    response_model=UserPublic,
    responses={
        **ETAG,
        **documented(
            *TOKEN_PROBLEMS, NOT_PRIVILEGED, USER_TO_CHANGE_NOT_FOUND, EMAIL_TAKEN, VERSION_MISMATCH
        ),
    },
)
async def update_user(
    user_id: str,
    caller: Superuser,
    body: UserUpdate,
    users: Users,
    passwords: PasswordHashing,
    if_match: IfMatch,
    response: Response,
) -> User:
    """Change any field of a user.

    All sessions of the user end if the user is deactivated, or if another user sets the password.
    """
    values = body.model_dump(exclude_unset=True)
    end_sessions = body.is_active is False or (body.password is not None and user_id != caller.id)
    if "password" in values:
        values["hashed_password"] = await passwords.hash(values.pop("password"))
    changes, versions = UserChanges(**values), if_match.versions_of(user_id)
    try:
        user = await users.update(user_id, changes, versions=versions, end_sessions=end_sessions)
    except NotFound as exc:
        raise ApiError(USER_TO_CHANGE_NOT_FOUND) from exc
    return with_etag(user, response)


@router.delete(
    "/{user_id}",
    response_model=Message,
    responses=documented(
        *TOKEN_PROBLEMS,
        NOT_PRIVILEGED,
        SELF_DELETION,
        USER_NOT_FOUND,
        VERSION_MISMATCH,
        USER_HAS_MONEY,
        NO_TRANSACTIONS,
    ),
)
async def delete_user(user_id: str, user: Superuser, users: Users, if_match: IfMatch) -> Message:
    """Delete a user with all items and empty accounts."""
    if user_id == user.id:
        raise ApiError(SELF_DELETION)
    await users.delete(user_id, versions=if_match.versions_of(user_id))
    return Message(message="User deleted successfully")
