"""Schemas of requests and responses, where these differ from the domain models."""

from api.schemas.accounts import (
    AccountCreate,
    AccountListQuery,
    AccountPublic,
    AccountsPublic,
    StatementEntryPublic,
    StatementPublic,
)
from api.schemas.fields import (
    Amount,
    Balance,
    QueryEmail,
    Secret,
    SignedAmount,
    Timestamp,
)
from api.schemas.lists import MAX_SKIP, ListQuery
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
    "Amount",
    "Balance",
    "EntryCreate",
    "ListQuery",
    "Message",
    "NewPassword",
    "PrivateUserCreate",
    "QueryEmail",
    "Secret",
    "SignedAmount",
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
]
