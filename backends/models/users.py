"""Users."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Annotated, Literal

from pydantic import Field

from backends.models.input_models import InputModel, NotNull
from backends.models.records import Record
from backends.models.text import Email, HashedPassword, Name
from backends.models.times import TimeAfter, TimeBefore


@dataclass(frozen=True, slots=True, kw_only=True)
class User(Record):
    """A person who can sign in.

    Attributes:
        id: 24 lower-case hex digits of an ObjectId.
        email: The address in the form of `normalise_email`; unique.
        hashed_password: An Argon2id hash in PHC string format, or a hash of another application or an
            older version; never leaves the service.
        created_at: Aware, UTC, whole milliseconds.
        version: 1 for a new user; each change adds 1.
        session_version: 0 for a new user; ending all sessions adds 1.
    """

    id: str
    email: str
    hashed_password: str = field(repr=False)
    full_name: str | None
    is_active: bool
    is_superuser: bool
    created_at: datetime
    version: int
    session_version: int


class NewUser(InputModel):
    """The input of `UserRepository.add`; the repository sets `id` and `created_at`."""

    email: Email
    hashed_password: HashedPassword = Field(repr=False)
    full_name: Name | None = None
    is_active: bool = True
    is_superuser: bool = False


class UserChanges(InputModel):
    """The input of `UserRepository.update`; unset fields keep their values."""

    email: Annotated[Email | None, NotNull] = None
    hashed_password: Annotated[HashedPassword | None, NotNull] = Field(default=None, repr=False)
    full_name: Name | None = None
    is_active: Annotated[bool | None, NotNull] = None
    is_superuser: Annotated[bool | None, NotNull] = None


UserSort = Literal["created_at", "-created_at", "email", "-email"]


class UserFilter(InputModel):
    """A filter for users. A user must match every field that is not None."""

    is_active: bool | None = None
    created_after: TimeAfter | None = None
    created_before: TimeBefore | None = None
