"""Schemas of users."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, Field, StrictBool

from api.schemas.examples import NEW_USER, USER, with_example
from api.schemas.fields import Secret, Timestamp
from api.schemas.lists import ListQuery
from backends.models import CurrentPassword, Email, Name, NotNull, Password, UserFilter, UserSort
from backends.models.queries import QueryBool


class UserPublic(BaseModel):
    """The public fields of a user."""

    model_config = with_example(USER)

    id: str
    email: str
    is_active: bool
    is_superuser: bool
    full_name: str | None
    created_at: Timestamp


class UsersPublic(BaseModel):
    """A page of users. `count` is the total; null with `count=none`."""

    model_config = with_example({"data": [USER], "count": 1, "next_cursor": None})

    data: list[UserPublic]
    count: int | None
    next_cursor: str | None = None


class UserRegister(BaseModel):
    """A sign-up. Other fields in the body are ignored."""

    model_config = with_example(NEW_USER)

    email: Email
    password: Annotated[Password, Secret]
    full_name: Name | None = None


class UserCreate(UserRegister):
    """A new user that a superuser creates."""

    model_config = with_example({**NEW_USER, "is_active": True, "is_superuser": False})

    is_active: StrictBool = True
    is_superuser: StrictBool = False


class PrivateUserCreate(BaseModel):
    """A new user for tests of a front end, with `ENVIRONMENT=local` only."""

    model_config = with_example({**NEW_USER, "is_verified": False})

    email: Email
    password: Annotated[Password, Secret]
    full_name: Name
    is_verified: StrictBool = False


class UserUpdateMe(BaseModel):
    """Changes of the caller's own user. Absent fields keep their values."""

    model_config = with_example({"full_name": "Augusta Ada King"})

    full_name: Name | None = None
    email: Annotated[Email | None, NotNull] = None


class UserUpdate(UserUpdateMe):
    """Changes of a user by a superuser. Absent fields keep their values."""

    model_config = with_example({"is_active": False})

    password: Annotated[Password | None, NotNull, Secret] = None
    is_active: Annotated[StrictBool | None, NotNull] = None
    is_superuser: Annotated[StrictBool | None, NotNull] = None


class UpdatePassword(BaseModel):
    """A change of the caller's own password."""

    model_config = with_example({"current_password": "correct horse", "new_password": "battery staple"})

    current_password: Annotated[CurrentPassword, Secret]
    new_password: Annotated[Password, Secret]


class UserListQuery(ListQuery):
    """Filters, sort order and page of a list of users."""

    sort: UserSort = Field(default="-created_at", description="`-` for descending order.")
    is_active: Annotated[bool | None, QueryBool] = None

    @property
    def where(self) -> UserFilter:
        """The filter for the repository."""
        return UserFilter.model_construct(**self.model_dump(include=set(UserFilter.model_fields)))
