"""Signing in."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends
from fastapi.security import OAuth2PasswordRequestForm

from api.deps import AppSettings, CurrentUser, GuardedRoute, PasswordHashing, Users
from api.errors import INACTIVE_USER, INCORRECT_LOGIN, TOKEN_PROBLEMS, ApiError, documented
from api.schemas import Token, UserPublic
from api.security import make_access_token
from backends.models import User

router = APIRouter(prefix="/login", tags=["login"], route_class=GuardedRoute)


@router.post("/access-token", response_model=Token, responses=documented(INCORRECT_LOGIN, INACTIVE_USER))
async def login_access_token(
    form: Annotated[OAuth2PasswordRequestForm, Depends()],
    users: Users,
    passwords: PasswordHashing,
    settings: AppSettings,
) -> Token:
    """Exchange an e-mail address (as `username`) and a password for a bearer token."""
    user = await users.find_by_email(form.username)
    correct = await passwords.verify(form.password, user.hashed_password if user else None)
    if user is None or not correct:
        raise ApiError(INCORRECT_LOGIN)
    if not user.is_active:
        raise ApiError(INACTIVE_USER)
    return Token(access_token=make_access_token(user.id, settings))


@router.post("/test-token", response_model=UserPublic, responses=documented(*TOKEN_PROBLEMS))
async def test_token(user: CurrentUser) -> User:
    """Return the user whose token it is."""
    return user
