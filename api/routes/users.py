"""Users: signing up, one's own account, and the administration of all."""

from __future__ import annotations

from typing import Annotated

from fastapi import Query, Response

from api.cursors import shown_page, window_of
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
from api.preconditions import ETAG, NOT_MODIFIED, IfMatch, IfNoneMatch, tagged, unless_known
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
from backends.models import NewUser, User, UserChanges

router = make_router("users", "/users")


@router.get("/", response_model=UsersPublic, responses=documented(*TOKEN_PROBLEMS, NOT_PRIVILEGED))
async def read_users(
    _: Superuser, users: Users, query: Annotated[UserListQuery, Query()], settings: AppSettings
) -> Response:
    """List the users."""
    page = await users.list(**window_of(query, "users", settings))
    return shown_page(page, query, "users", settings)


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
    """Make a user of any kind, who is told by mail."""
    hashed_password = await passwords.hash(body.password)
    new = NewUser(hashed_password=hashed_password, **body.model_dump(exclude={"password"}))
    try:
        user = await users.add(new)
    except AlreadyExists as exc:
        raise ApiError(EMAIL_TAKEN_AT_CREATE) from exc
    mail.send(NewAccountEmail(to=user.email))
    return tagged(user, response)


@router.post("/signup", response_model=UserPublic, responses={**ETAG, **documented(EMAIL_TAKEN_AT_SIGNUP)})
async def register_user(
    body: UserRegister, users: Users, passwords: PasswordHashing, response: Response
) -> User:
    """Make oneself an account, without signing in."""
    # The unique index decides below; this only spares a hash, which costs more than all the rest.
    if await users.find_by_email(body.email) is not None:
        raise ApiError(EMAIL_TAKEN_AT_SIGNUP)
    hashed_password = await passwords.hash(body.password)
    new = NewUser(email=body.email, hashed_password=hashed_password, full_name=body.full_name)
    try:
        return tagged(await users.add(new), response)
    except AlreadyExists as exc:
        raise ApiError(EMAIL_TAKEN_AT_SIGNUP) from exc


@router.get("/me", response_model=UserPublic, responses={**NOT_MODIFIED, **documented(*TOKEN_PROBLEMS)})
async def read_user_me(user: CurrentUser, known: IfNoneMatch, response: Response) -> User | Response:
    """Return one's own account."""
    return unless_known(user, known, response)


@router.patch(
    "/me",
    response_model=UserPublic,
    responses={**ETAG, **documented(*TOKEN_PROBLEMS, EMAIL_TAKEN, VERSION_MISMATCH)},
)
async def update_user_me(
    user: CurrentUser, body: UserUpdateMe, users: Users, expected: IfMatch, response: Response
) -> User:
    """Change one's own name or address."""
    changes = UserChanges(**body.model_dump(exclude_unset=True))
    return tagged(await users.update(user.id, changes, versions=expected.versions_of(user.id)), response)


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
    expected: IfMatch,
) -> Message:
    """Change one's own password; the session goes on."""
    async with throttle.attempt(user.email, client) as attempt:
        attempt.succeeded = await passwords.verify(body.current_password, user.hashed_password)
    if not attempt.succeeded:
        raise ApiError(INCORRECT_PASSWORD)
    if body.new_password == body.current_password:
        raise ApiError(SAME_PASSWORD)
    changes = UserChanges(hashed_password=await passwords.hash(body.new_password))
    versions = expected.versions_of(user.id)
    while versions is None or user.version in versions:
        try:
            await users.update(user.id, changes, versions={user.version})
        except VersionMismatch:
            # Between the look at the password and this, which may be long: the look may no longer hold.
            now = await users.get(user.id)
            if now.session_version != user.session_version:
                raise ApiError(INVALID_TOKEN) from None
            if now.hashed_password != user.hashed_password:
                raise ApiError(INCORRECT_PASSWORD) from None
            user = now
        else:
            return Message(message="Password updated successfully")
    raise ApiError(VERSION_MISMATCH)


@router.post("/me/logout-everywhere", response_model=Message, responses=documented(*TOKEN_PROBLEMS))
async def logout_everywhere(user: CurrentUser, users: Users) -> Message:
    """End all one's sessions, this one too."""
    await users.update(user.id, UserChanges(), end_sessions=True)
    return Message(message="All sessions ended")


@router.delete(
    "/me",
    response_model=Message,
    responses=documented(*TOKEN_PROBLEMS, SELF_DELETION, VERSION_MISMATCH, USER_HAS_MONEY, NO_TRANSACTIONS),
)
async def delete_user_me(user: CurrentUser, users: Users, expected: IfMatch) -> Message:
    """Delete one's own account and all its items."""
    if user.is_superuser:
        raise ApiError(SELF_DELETION)
    await users.delete(user.id, versions=expected.versions_of(user.id))
    return Message(message="User deleted successfully")


@router.get(
    "/{user_id}",
    response_model=UserPublic,
    responses={**NOT_MODIFIED, **documented(*TOKEN_PROBLEMS, NOT_PRIVILEGED, USER_NOT_FOUND)},
)
async def read_user_by_id(
    user_id: str, user: CurrentUser, users: Users, known: IfNoneMatch, response: Response
) -> User | Response:
    """Return a user: oneself, or anyone for a superuser."""
    if user_id != user.id:
        if not user.is_superuser:
            raise ApiError(NOT_PRIVILEGED)
        user = await users.get(user_id)
    return unless_known(user, known, response)


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
    expected: IfMatch,
    response: Response,
) -> User:
    """Change anything about a user.

    Deactivating a user, or setting somebody else's password, ends all of that user's sessions.
    """
    values = body.model_dump(exclude_unset=True)
    end_sessions = body.is_active is False or (body.password is not None and user_id != caller.id)
    if "password" in values:
        values["hashed_password"] = await passwords.hash(values.pop("password"))
    changes, versions = UserChanges(**values), expected.versions_of(user_id)
    try:
        user = await users.update(user_id, changes, versions=versions, end_sessions=end_sessions)
    except NotFound as exc:
        raise ApiError(USER_TO_CHANGE_NOT_FOUND) from exc
    return tagged(user, response)


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
async def delete_user(user_id: str, user: Superuser, users: Users, expected: IfMatch) -> Message:
    """Delete a user and all that user's items."""
    if user_id == user.id:
        raise ApiError(SELF_DELETION)
    await users.delete(user_id, versions=expected.versions_of(user_id))
    return Message(message="User deleted successfully")
