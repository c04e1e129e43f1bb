"""Users: signing up, one's own account, and the administration of all."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query

from api.cursors import read_cursor, write_cursor
from api.deps import AppSettings, CurrentUser, GuardedRoute, PasswordHashing, Superuser, Users
from api.errors import (
    EMAIL_TAKEN,
    EMAIL_TAKEN_AT_CREATE,
    EMAIL_TAKEN_AT_SIGNUP,
    INCORRECT_PASSWORD,
    NOT_PRIVILEGED,
    SAME_PASSWORD,
    SELF_DELETION,
    TOKEN_PROBLEMS,
    USER_NOT_FOUND,
    USER_TO_CHANGE_NOT_FOUND,
    ApiError,
    documented,
)
from api.schemas import (
    ListQuery,
    Message,
    UpdatePassword,
    UserCreate,
    UserPublic,
    UserRegister,
    UsersPublic,
    UserUpdate,
    UserUpdateMe,
)
from backends.errors import AlreadyExists, NotFound
from backends.models import NewUser, User, UserChanges

router = APIRouter(prefix="/users", tags=["users"], route_class=GuardedRoute)


@router.get("/", response_model=UsersPublic, responses=documented(*TOKEN_PROBLEMS, NOT_PRIVILEGED))
async def read_users(
    _: Superuser, users: Users, query: Annotated[ListQuery, Query()], settings: AppSettings
) -> dict[str, Any]:
    """List the users, newest first."""
    page = await users.list(
        skip=query.skip,
        limit=query.limit,
        after=read_cursor(query.cursor, "users", settings),
        count=query.count == "exact",
    )
    next_cursor = write_cursor(page.next, "users", settings)
    return {"data": page.data, "count": page.count, "next_cursor": next_cursor}


@router.post(
    "/",
    response_model=UserPublic,
    responses=documented(*TOKEN_PROBLEMS, NOT_PRIVILEGED, EMAIL_TAKEN_AT_CREATE),
)
async def create_user(_: Superuser, body: UserCreate, users: Users, passwords: PasswordHashing) -> User:
    """Make a user of any kind."""
    hashed_password = await passwords.hash(body.password)
    new = NewUser(hashed_password=hashed_password, **body.model_dump(exclude={"password"}))
    try:
        return await users.add(new)
    except AlreadyExists as exc:
        raise ApiError(EMAIL_TAKEN_AT_CREATE) from exc


@router.post("/signup", response_model=UserPublic, responses=documented(EMAIL_TAKEN_AT_SIGNUP))
async def register_user(body: UserRegister, users: Users, passwords: PasswordHashing) -> User:
    """Make oneself an account, without signing in."""
    hashed_password = await passwords.hash(body.password)
    new = NewUser(email=body.email, hashed_password=hashed_password, full_name=body.full_name)
    try:
        return await users.add(new)
    except AlreadyExists as exc:
        raise ApiError(EMAIL_TAKEN_AT_SIGNUP) from exc


@router.get("/me", response_model=UserPublic, responses=documented(*TOKEN_PROBLEMS))
async def read_user_me(user: CurrentUser) -> User:
    """Return one's own account."""
    return user


@router.patch("/me", response_model=UserPublic, responses=documented(*TOKEN_PROBLEMS, EMAIL_TAKEN))
async def update_user_me(user: CurrentUser, body: UserUpdateMe, users: Users) -> User:
    """Change one's own name or address."""
    return await users.update(user.id, UserChanges(**body.model_dump(exclude_unset=True)))


@router.patch(
    "/me/password",
    response_model=Message,
    responses=documented(*TOKEN_PROBLEMS, INCORRECT_PASSWORD, SAME_PASSWORD),
)
async def update_password_me(
    user: CurrentUser, body: UpdatePassword, users: Users, passwords: PasswordHashing
) -> Message:
    """Change one's own password; the session goes on."""
    if not await passwords.verify(body.current_password, user.hashed_password):
        raise ApiError(INCORRECT_PASSWORD)
    if body.new_password == body.current_password:
        raise ApiError(SAME_PASSWORD)
    hashed_password = await passwords.hash(body.new_password)
    await users.update(user.id, UserChanges(hashed_password=hashed_password))
    return Message(message="Password updated successfully")


@router.delete("/me", response_model=Message, responses=documented(*TOKEN_PROBLEMS, SELF_DELETION))
async def delete_user_me(user: CurrentUser, users: Users) -> Message:
    """Delete one's own account and all its items."""
    if user.is_superuser:
        raise ApiError(SELF_DELETION)
    await users.delete(user.id)
    return Message(message="User deleted successfully")


@router.get(
    "/{user_id}",
    response_model=UserPublic,
    responses=documented(*TOKEN_PROBLEMS, NOT_PRIVILEGED, USER_NOT_FOUND),
)
async def read_user_by_id(user_id: str, user: CurrentUser, users: Users) -> User:
    """Return a user: oneself, or anyone for a superuser."""
    if user_id == user.id:
        return user
    if not user.is_superuser:
        raise ApiError(NOT_PRIVILEGED)
    return await users.get(user_id)


@router.patch(
    "/{user_id}",
    response_model=UserPublic,
    responses=documented(*TOKEN_PROBLEMS, NOT_PRIVILEGED, USER_TO_CHANGE_NOT_FOUND, EMAIL_TAKEN),
)
async def update_user(
    user_id: str, _: Superuser, body: UserUpdate, users: Users, passwords: PasswordHashing
) -> User:
    """Change anything about a user."""
    values = body.model_dump(exclude_unset=True)
    if "password" in values:
        values["hashed_password"] = await passwords.hash(values.pop("password"))
    try:
        return await users.update(user_id, UserChanges(**values))
    except NotFound as exc:
        raise ApiError(USER_TO_CHANGE_NOT_FOUND) from exc


@router.delete(
    "/{user_id}",
    response_model=Message,
    responses=documented(*TOKEN_PROBLEMS, NOT_PRIVILEGED, SELF_DELETION, USER_NOT_FOUND),
)
async def delete_user(user_id: str, user: Superuser, users: Users) -> Message:
    """Delete a user and all that user's items."""
    if user_id == user.id:
        raise ApiError(SELF_DELETION)
    await users.delete(user_id)
    return Message(message="User deleted successfully")
