"""What goes over the wire, where it differs from the domain: names, secrets, the form of a time."""

from api.schemas.accounts import (
    AccountCreate,
    AccountListQuery,
    AccountPublic,
    AccountsPublic,
    StatementEntryPublic,
    StatementPublic,
)
from api.schemas.fields import (
    Balance,
    Secret,
    Timestamp,
    WrittenBool,
    WrittenEmail,
    WrittenInt,
    WrittenTime,
)
from api.schemas.items import (
    ItemCreate,
    ItemListQuery,
    ItemPublic,
    ItemsCreate,
    ItemsCreated,
    ItemsPublic,
    ItemUpdate,
)
from api.schemas.lists import MAX_SKIP
from api.schemas.login import Message, NewPassword, Token
from api.schemas.transfers import (
    EntryCreate,
    TransferCreate,
    TransferListQuery,
    TransferPublic,
    TransfersPublic,
)
from api.schemas.users import (
    PrivateUserCreate,
    UpdatePassword,
    UserCreate,
    UserListQuery,
    UserPublic,
    UserRegister,
    UsersPublic,
    UserUpdate,
    UserUpdateMe,
)

__all__ = [
    "MAX_SKIP",
    "AccountCreate",
    "AccountListQuery",
    "AccountPublic",
    "AccountsPublic",
    "Balance",
    "EntryCreate",
    "ItemCreate",
    "ItemListQuery",
    "ItemPublic",
    "ItemUpdate",
    "ItemsCreate",
    "ItemsCreated",
    "ItemsPublic",
    "Message",
    "NewPassword",
    "PrivateUserCreate",
    "Secret",
    "StatementEntryPublic",
    "StatementPublic",
    "Timestamp",
    "Token",
    "TransferCreate",
    "TransferListQuery",
    "TransferPublic",
    "TransfersPublic",
    "UpdatePassword",
    "UserCreate",
    "UserListQuery",
    "UserPublic",
    "UserRegister",
    "UserUpdate",
    "UserUpdateMe",
    "UsersPublic",
    "WrittenBool",
    "WrittenEmail",
    "WrittenInt",
    "WrittenTime",
]
