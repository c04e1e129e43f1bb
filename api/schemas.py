"""What goes over the wire, where it differs from the domain: names, secrets, the form of a time."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    StrictBool,
    WithJsonSchema,
    model_validator,
)
from pydantic_core import PydanticCustomError

from backends.ids import write_time
from backends.models import (
    AccountFilter,
    AccountSort,
    Email,
    ItemChanges,
    ItemFilter,
    ItemSort,
    Name,
    NewAccount,
    NewEntry,
    NewItem,
    NewTransfer,
    NotNull,
    Password,
    SearchText,
    TimeAfter,
    TimeBefore,
    TransferFilter,
    TransferSort,
    UserFilter,
    UserSort,
)
from backends.protocols import MAX_ADDED, MAX_LIMIT

MAX_SKIP = 2**31 - 1


Timestamp = Annotated[
    datetime,
    PlainSerializer(write_time, when_used="json"),
    WithJsonSchema({"type": "string", "format": "date-time"}),
]


def _shown_as(example: dict[str, Any]) -> ConfigDict:
    """Give a schema an example for the OpenAPI document; it may be made of a domain model, too."""
    return ConfigDict(json_schema_extra={"examples": [example]}, from_attributes=True)


_USER = {
    "id": "6b033b863d1ef9f35065c8d0",
    "email": "ada@example.com",
    "is_active": True,
    "is_superuser": False,
    "full_name": "Ada Lovelace",
    "created_at": "2026-11-22T18:59:18.492Z",
}
_NEW_USER = {"email": "ada@example.com", "password": "correct horse", "full_name": "Ada Lovelace"}
_ITEM = {
    "id": "6b033b863d1ef9f35065c8d1",
    "title": "Analytical Engine",
    "description": "Weaves algebraic patterns",
    "owner_id": "6b033b863d1ef9f35065c8d0",
    "created_at": "2026-11-22T18:59:18.697Z",
}
_ACCOUNT = {
    "id": "6b033b863d1ef9f35065c8d2",
    "owner_id": "6b033b863d1ef9f35065c8d0",
    "name": "Savings",
    "currency": "EUR",
    "balance_minor": 12_50,
    "created_at": "2026-11-22T18:59:18.702Z",
}
_TRANSFER = {
    "id": "6b033b863d1ef9f35065c8d4",
    "from_account_id": "6b033b863d1ef9f35065c8d2",
    "to_account_id": "6b033b863d1ef9f35065c8d3",
    "amount_minor": 7_50,
    "note": "Lunch",
    "created_at": "2026-11-22T18:59:18.733Z",
    "idempotency_key": "8e03978e-40d5-43e8-bc93-6894a57f9324",
}
_TOKEN = "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiI2YjAzIn0.c2lnbmF0dXJl"  # noqa: S105 - an example


def _no_number(value: object) -> object:
    """Refuse what pydantic would read as Unix time, in seconds or milliseconds by its size."""
    if isinstance(value, str) and not re.match(r"[0-9]{4}-", value):
        raise PydanticCustomError("datetime_parsing", "Input should be a time such as 2026-11-22T16:25:25Z")
    return value


WrittenTime = BeforeValidator(_no_number)


def _written_as(pattern: str, error_type: str, message: str) -> BeforeValidator:
    """Refuse what pydantic would understand in a query, though nobody said that it may be written so."""

    def check(value: object) -> object:
        if isinstance(value, str) and not re.fullmatch(pattern, value):
            raise PydanticCustomError(error_type, message)
        return value

    return BeforeValidator(check)


WrittenBool = _written_as("true|false", "bool_parsing", "Input should be true or false")
WrittenInt = _written_as("-?[0-9]+", "int_parsing", "Input should be an integer in digits such as 100")

# Like a SecretStr: a form that gets into a log or a traceback does not tell it.
Secret = Field(repr=False)


class UserPublic(BaseModel):
    """A user as others may see it."""

    model_config = _shown_as(_USER)

    id: str
    email: str
    is_active: bool
    is_superuser: bool
    full_name: str | None
    created_at: Timestamp


class UsersPublic(BaseModel):
    """A page of users; `count` is the total, null with `count=none`."""

    model_config = _shown_as({"data": [_USER], "count": 1, "next_cursor": None})

    data: list[UserPublic]
    count: int | None
    next_cursor: str | None = None


class UserRegister(BaseModel):
    """What a stranger may say of himself; anything else in the body is ignored."""

    model_config = _shown_as(_NEW_USER)

    email: Email
    password: Annotated[Password, Secret]
    full_name: Name | None = None


class UserCreate(UserRegister):
    """What a superuser may say of a new user."""

    model_config = _shown_as({**_NEW_USER, "is_active": True, "is_superuser": False})

    is_active: StrictBool = True
    is_superuser: StrictBool = False


class PrivateUserCreate(BaseModel):
    """What a test may say of a new user, on a developer's machine."""

    model_config = _shown_as({**_NEW_USER, "is_verified": False})

    email: Email
    password: Annotated[Password, Secret]
    full_name: Name
    is_verified: StrictBool = False


class UserUpdateMe(BaseModel):
    """What a user may change of himself; absent fields stay."""

    model_config = _shown_as({"full_name": "Augusta Ada King"})

    full_name: Name | None = None
    email: Annotated[Email | None, NotNull] = None


class UserUpdate(UserUpdateMe):
    """What a superuser may change of a user; absent fields stay."""

    model_config = _shown_as({"is_active": False})

    password: Annotated[Password | None, NotNull, Secret] = None
    is_active: Annotated[StrictBool | None, NotNull] = None
    is_superuser: Annotated[StrictBool | None, NotNull] = None


class UpdatePassword(BaseModel):
    """A change of one's own password."""

    model_config = _shown_as({"current_password": "correct horse", "new_password": "battery staple"})

    current_password: Annotated[Password, Secret]
    new_password: Annotated[Password, Secret]


class ItemPublic(BaseModel):
    """An item."""

    model_config = _shown_as(_ITEM)

    id: str
    title: str
    description: str | None
    owner_id: str
    created_at: Timestamp


class ItemsPublic(BaseModel):
    """A page of items; `count` is the total, null with `count=none`."""

    model_config = _shown_as({"data": [_ITEM], "count": 1, "next_cursor": None})

    data: list[ItemPublic]
    count: int | None
    next_cursor: str | None = None


class ItemCreate(NewItem):
    """A new item; its owner is the caller."""

    model_config = _shown_as({"title": _ITEM["title"], "description": _ITEM["description"]})


class ItemsCreate(BaseModel):
    """New items of the caller, in their order."""

    model_config = _shown_as({"data": [{"title": _ITEM["title"], "description": _ITEM["description"]}]})

    data: Annotated[list[ItemCreate], Field(min_length=1, max_length=MAX_ADDED)]


class ItemsCreated(BaseModel):
    """The items that were made, in the order in which they were given; `count` is how many."""

    model_config = _shown_as({"data": [_ITEM], "count": 1})

    data: list[ItemPublic]
    count: int


class ItemUpdate(ItemChanges):
    """Changes of an item; absent fields stay."""

    model_config = _shown_as({"description": None})


Balance = Annotated[int, WithJsonSchema({"type": "integer", "format": "int64"})]


class AccountPublic(BaseModel):
    """An account; its balance is in minor units of the currency (cents)."""

    model_config = _shown_as(_ACCOUNT)

    id: str
    owner_id: str
    name: str
    currency: str
    balance_minor: Balance
    created_at: Timestamp


class AccountsPublic(BaseModel):
    """A page of accounts, from one moment; `count` is the total, null with `count=none`."""

    model_config = _shown_as({"data": [_ACCOUNT], "count": 1, "next_cursor": None})

    data: list[AccountPublic]
    count: int | None
    next_cursor: str | None = None


class AccountCreate(NewAccount):
    """A new account of the caller, without money; the currency is a code of ISO 4217."""

    model_config = _shown_as({"name": _ACCOUNT["name"], "currency": _ACCOUNT["currency"]})


class EntryCreate(NewEntry):
    """Money that comes in or goes out, in minor units of the account's currency (cents)."""

    model_config = _shown_as({"amount_minor": 20_00, "note": "Cash"})


class TransferCreate(NewTransfer):
    """Money that moves between two accounts of one currency, in its minor units (cents)."""

    model_config = _shown_as(
        {name: _TRANSFER[name] for name in ("from_account_id", "to_account_id", "amount_minor", "note")}
    )


class TransferPublic(BaseModel):
    """An entry of the ledger; a deposit has no `from_account_id`, a withdrawal no `to_account_id`."""

    model_config = _shown_as(_TRANSFER)

    id: str
    from_account_id: str | None
    to_account_id: str | None
    amount_minor: Balance
    note: str | None
    created_at: Timestamp
    idempotency_key: str | None


class TransfersPublic(BaseModel):
    """A page of the ledger; `count` is the total, null with `count=none`."""

    model_config = _shown_as({"data": [_TRANSFER], "count": 1, "next_cursor": None})

    data: list[TransferPublic]
    count: int | None
    next_cursor: str | None = None


_ENTRY = {
    "transfer_id": _TRANSFER["id"],
    "other_account_id": _TRANSFER["to_account_id"],
    "amount_minor": -7_50,
    "balance_minor": 12_50,
    "note": _TRANSFER["note"],
    "created_at": _TRANSFER["created_at"],
}


class StatementEntryPublic(BaseModel):
    """An entry as one account sees it: what it added (or took), and the balance after it."""

    model_config = _shown_as(_ENTRY)

    transfer_id: str
    other_account_id: str | None
    amount_minor: Balance
    balance_minor: Balance
    note: str | None
    created_at: Timestamp


class StatementPublic(BaseModel):
    """An account and its whole history, oldest entry first, all from one moment."""

    model_config = _shown_as({"account": _ACCOUNT, "count": 1, "data": [_ENTRY]})

    account: AccountPublic
    count: int
    data: list[StatementEntryPublic]


class _ListQuery(BaseModel):
    """Which part of a list."""

    skip: Annotated[int, Field(ge=0, le=MAX_SKIP), WrittenInt] = 0
    limit: Annotated[int, Field(ge=0, le=MAX_LIMIT), WrittenInt] = 100
    cursor: str | None = Field(
        default=None,
        description=(
            "`next_cursor` of the page before, with the same `sort`: goes on there, whatever changed."
        ),
    )
    count: Literal["exact", "none"] = Field(
        default="exact", description="`none` spares the database the counting."
    )
    created_after: Annotated[TimeAfter | None, WrittenTime] = Field(
        default=None, description="Created later than this."
    )
    created_before: Annotated[TimeBefore | None, WrittenTime] = Field(
        default=None, description="Created earlier than this."
    )

    @model_validator(mode="before")
    @classmethod
    def _refuse_unknown(cls, parameters: object) -> object:
        """Name the valid ones: a misspelt filter that is ignored would show what was to be hidden."""
        if isinstance(parameters, dict) and parameters.keys() - cls.model_fields.keys():
            valid = ", ".join(cls.model_fields)
            message = "Unknown parameter; valid ones are: {valid}"
            raise PydanticCustomError("unknown_parameter", message, {"valid": valid})
        return parameters


class UserListQuery(_ListQuery):
    """Which users, in which order, and which part of them."""

    sort: UserSort = Field(default="-created_at", description="`-` for descending.")
    is_active: Annotated[bool | None, WrittenBool] = None

    @property
    def where(self) -> UserFilter:
        """The filter for the repository."""
        return UserFilter.model_construct(**self.model_dump(include=set(UserFilter.model_fields)))


class ItemListQuery(_ListQuery):
    """Which items, in which order, and which part of them."""

    sort: ItemSort = Field(default="-created_at", description="`-` for descending.")
    title: SearchText | None = Field(default=None, description="The whole title, exactly.")
    q: SearchText | None = Field(
        default=None, description="A part of the title or of the description, in any case."
    )
    owner_id: str | None = Field(default=None, description="Whose items; of others for superusers only.")

    @property
    def where(self) -> ItemFilter:
        """The filter for the repository."""
        return ItemFilter.model_construct(**self.model_dump(include=set(ItemFilter.model_fields)))


class AccountListQuery(_ListQuery):
    """Which accounts, in which order, and which part of them."""

    sort: AccountSort = Field(default="-created_at", description="`-` for descending.")
    currency: SearchText | None = None
    owner_id: str | None = Field(default=None, description="Whose accounts; of others for superusers only.")

    @property
    def where(self) -> AccountFilter:
        """The filter for the repository."""
        return AccountFilter.model_construct(**self.model_dump(include=set(AccountFilter.model_fields)))


class TransferListQuery(_ListQuery):
    """Which entries, in which order, and which part of them."""

    sort: TransferSort = Field(default="-created_at", description="`-` for descending.")
    owner_id: str | None = Field(
        default=None, description="From and to whose accounts; of others for superusers only."
    )

    @property
    def where(self) -> TransferFilter:
        """The filter for the repository."""
        return TransferFilter.model_construct(**self.model_dump(include=set(TransferFilter.model_fields)))


class Message(BaseModel):
    """A sentence for people."""

    model_config = _shown_as({"message": "Item deleted successfully"})

    message: str


class NewPassword(BaseModel):
    """A new password, and the token that was mailed to set it."""

    model_config = _shown_as({"token": _TOKEN, "new_password": "battery staple"})

    token: Annotated[str, Field(max_length=4096), Secret]
    new_password: Annotated[Password, Secret]


class Token(BaseModel):
    """A bearer token."""

    model_config = _shown_as({"access_token": _TOKEN, "token_type": "bearer"})

    access_token: Annotated[str, Secret]
    token_type: str = "bearer"  # noqa: S105 - the scheme of RFC 6750
