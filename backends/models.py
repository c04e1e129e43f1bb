"""The domain: what EitherDB stores, in terms that know no database and no HTTP.

What is stored is a frozen dataclass (`User`, `Item`): cheap to build from a row, compared by value.
What comes in is a pydantic form (`NewItem`, `ItemChanges`, …) that can't be built with text which some
database would refuse or change, so that every backend may trust it. In a form of changes a field that
was not set is kept as it is, and None clears it; `form.model_dump(exclude_unset=True)` is the change.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Annotated, Generic, TypeVar
from unicodedata import normalize

from email_validator import EmailNotValidError, validate_email
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, WithJsonSchema
from pydantic_core import PydanticCustomError

T = TypeVar("T")

EMAIL_MAX_LENGTH = 255


def _storable(text: str) -> str:
    """Refuse NUL, which PostgreSQL can't store."""
    if "\x00" in text:
        raise PydanticCustomError("string_nul", "String should not contain the NUL character")
    return text


def _not_null(value: T) -> T:
    """Refuse an explicit null in a field that may only be left out."""
    if value is None:
        raise PydanticCustomError("not_null", "Field may be left out but not be null")
    return value


def normalise_email(text: str) -> str:
    """Return the one spelling under which an address is stored and found.

    The syntax is checked (RFC 5321 and 6531, no DNS look-up), all of it is lower-cased and put into
    Unicode NFC, so that two spellings of one address can't become two users.

    Raises:
        ValueError: The text is no e-mail address, or no longer one once it is normalised.
    """
    checked = _checked_email(text)
    # A small letter may have a composed form where its capital has none.
    address = normalize("NFC", checked.lower())
    if address != checked:
        # The small letters may be longer: what is stored must itself be an address, or nobody finds it.
        _checked_email(address)
    return address


def _checked_email(text: str) -> str:
    try:
        return validate_email(text, check_deliverability=False).normalized
    except EmailNotValidError as exc:
        raise ValueError(f"value is not a valid email address: {exc}") from None


def _email(text: str) -> str:
    try:
        return normalise_email(text)
    except ValueError as exc:
        raise PydanticCustomError("value_error", "{reason}", {"reason": str(exc)}) from None


# The length comes before the function: so pydantic counts code points, words the error for text, and
# refuses lone surrogates, which it only sees when it has to look at the characters.
Email = Annotated[
    str,
    Field(max_length=EMAIL_MAX_LENGTH),
    AfterValidator(_storable),
    AfterValidator(_email),
    WithJsonSchema({"type": "string", "format": "email", "maxLength": EMAIL_MAX_LENGTH}),
]
Name = Annotated[str, Field(max_length=255), AfterValidator(_storable)]
Title = Annotated[str, Field(min_length=1, max_length=255), AfterValidator(_storable)]
Description = Annotated[str, Field(max_length=255), AfterValidator(_storable)]
HashedPassword = Annotated[str, Field(min_length=1, max_length=255), AfterValidator(_storable)]
Password = Annotated[str, Field(min_length=8, max_length=128), AfterValidator(_storable)]

NotNull = AfterValidator(_not_null)


@dataclass(frozen=True, slots=True, kw_only=True)
class User:
    """A person who can sign in.

    Attributes:
        id: 24 lower-case hex digits of an ObjectId.
        email: As `normalise_email` returns it; no two users share one.
        hashed_password: An Argon2id hash in PHC string form; never leaves the service.
        created_at: Aware, UTC, whole milliseconds.
    """

    id: str
    email: str
    hashed_password: str = field(repr=False)
    full_name: str | None
    is_active: bool
    is_superuser: bool
    created_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """A thing with a title, owned by one user and gone with that user.

    Attributes:
        id: 24 lower-case hex digits of an ObjectId.
        owner_id: The `id` of a user that exists.
        created_at: Aware, UTC, whole milliseconds.
    """

    id: str
    title: str
    description: str | None
    owner_id: str
    created_at: datetime


class _Form(BaseModel):
    model_config = ConfigDict(frozen=True)


class NewUser(_Form):
    """What `UserRepository.add` needs; the repository makes `id` and `created_at`."""

    email: Email
    hashed_password: HashedPassword = Field(repr=False)
    full_name: Name | None = None
    is_active: bool = True
    is_superuser: bool = False


class UserChanges(_Form):
    """What `UserRepository.update` may change; unset fields stay."""

    email: Annotated[Email | None, NotNull] = None
    hashed_password: Annotated[HashedPassword | None, NotNull] = Field(default=None, repr=False)
    full_name: Name | None = None
    is_active: Annotated[bool | None, NotNull] = None
    is_superuser: Annotated[bool | None, NotNull] = None


class NewItem(_Form):
    """What `ItemRepository.add` needs besides the owner."""

    title: Title
    description: Description | None = None


class ItemChanges(_Form):
    """What `ItemRepository.update` may change; unset fields stay."""

    title: Annotated[Title | None, NotNull] = None
    description: Description | None = None


@dataclass(frozen=True, slots=True)
class Position:
    """A place in a list that is ordered newest first: just behind the row with these two values."""

    created_at: datetime
    id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Page(Generic[T]):
    """A part of a list.

    Attributes:
        data: At most `limit` rows, in the order of the list.
        count: How many rows the whole list has; None where the caller asked for no count.
        next: Where the following page begins; None if nothing follows.
    """

    data: list[T]
    count: int | None
    next: Position | None
