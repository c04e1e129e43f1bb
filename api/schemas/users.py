"""Users on the wire."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, Field, StrictBool

from api.schemas.examples import NEW_USER, USER, shown_as
from api.schemas.fields import Secret, Timestamp, WrittenBool
from api.schemas.lists import ListQuery
from backends.models import Email, Name, NotNull, Password, UserFilter, UserSort


class UserPublic(BaseModel):
    """A user as others may see it."""

    model_config = shown_as(USER)

    id: str
    email: str
    is_active: bool
    is_superuser: bool
    full_name: str | None
    created_at: Timestamp


class UsersPublic(BaseModel):
    """A page of users; `count` is the total, null with `count=none`."""

    model_config = shown_as({"data": [USER], "count": 1, "next_cursor": None})

    data: list[UserPublic]
    count: int | None
    next_cursor: str | None = None


class UserRegister(BaseModel):
    """What a stranger may say of himself; anything else in the body is ignored."""

    model_config = shown_as(NEW_USER)

    email: Email
    password: Annotated[Password, Secret]
    full_name: Name | None = None


class UserCreate(UserRegister):
    """What a superuser may say of a new user."""

    model_config = shown_as({**NEW_USER, "is_active": True, "is_superuser": False})

    is_active: StrictBool = True
    is_superuser: StrictBool = False


class PrivateUserCreate(BaseModel):
    """What a test may say of a new user, on a developer's machine."""

    model_config = shown_as({**NEW_USER, "is_verified": False})

    email: Email
    password: Annotated[Password, Secret]
    full_name: Name
    is_verified: StrictBool = False


class UserUpdateMe(BaseModel):
    """What a user may change of himself; absent fields stay."""

    model_config = shown_as({"full_name": "Augusta Ada King"})

    full_name: Name | None = None
    email: Annotated[Email | None, NotNull] = None


class UserUpdate(UserUpdateMe):
    """What a superuser may change of a user; absent fields stay."""

    model_config = shown_as({"is_active": False})

    password: Annotated[Password | None, NotNull, Secret] = None
    is_active: Annotated[StrictBool | None, NotNull] = None
    is_superuser: Annotated[StrictBool | None, NotNull] = None


class UpdatePassword(BaseModel):
    """A change of one's own password."""

    model_config = shown_as({"current_password": "correct horse", "new_password": "battery staple"})

    current_password: Annotated[Password, Secret]
    new_password: Annotated[Password, Secret]


class UserListQuery(ListQuery):
    """Which users, in which order, and which part of them."""

    sort: UserSort = Field(default="-created_at", description="`-` for descending.")
    is_active: Annotated[bool | None, WrittenBool] = None

    @property
    def where(self) -> UserFilter:
        """The filter for the repository."""
        return UserFilter.model_construct(**self.model_dump(include=set(UserFilter.model_fields)))
