"""Contains all the data models used in inputs/outputs"""

from .account_create import AccountCreate
from .account_public import AccountPublic
from .accounts_public import AccountsPublic
from .accounts_read_accounts_count import AccountsReadAccountsCount
from .accounts_read_accounts_sort import AccountsReadAccountsSort
from .body_login_login_access_token import BodyLoginLoginAccessToken
from .entry_create import EntryCreate
from .error_body import ErrorBody
from .http_validation_error import HTTPValidationError
from .http_validation_error_code import HTTPValidationErrorCode
from .item_create import ItemCreate
from .item_public import ItemPublic
from .item_update import ItemUpdate
from .items_create import ItemsCreate
from .items_created import ItemsCreated
from .items_public import ItemsPublic
from .items_read_items_count import ItemsReadItemsCount
from .items_read_items_sort import ItemsReadItemsSort
from .message import Message
from .new_password import NewPassword
from .private_user_create import PrivateUserCreate
from .statement_entry_public import StatementEntryPublic
from .statement_public import StatementPublic
from .token import Token
from .transfer_create import TransferCreate
from .transfer_public import TransferPublic
from .transfers_public import TransfersPublic
from .transfers_read_transfers_count import TransfersReadTransfersCount
from .transfers_read_transfers_sort import TransfersReadTransfersSort
from .update_password import UpdatePassword
from .user_create import UserCreate
from .user_public import UserPublic
from .user_register import UserRegister
from .user_update import UserUpdate
from .user_update_me import UserUpdateMe
from .users_public import UsersPublic
from .users_read_users_count import UsersReadUsersCount
from .users_read_users_sort import UsersReadUsersSort
from .validation_error import ValidationError

__all__ = (
    "AccountCreate",
    "AccountPublic",
    "AccountsPublic",
    "AccountsReadAccountsCount",
    "AccountsReadAccountsSort",
    "BodyLoginLoginAccessToken",
    "EntryCreate",
    "ErrorBody",
    "HTTPValidationError",
    "HTTPValidationErrorCode",
    "ItemCreate",
    "ItemPublic",
    "ItemsCreate",
    "ItemsCreated",
    "ItemsPublic",
    "ItemsReadItemsCount",
    "ItemsReadItemsSort",
    "ItemUpdate",
    "Message",
    "NewPassword",
    "PrivateUserCreate",
    "StatementEntryPublic",
    "StatementPublic",
    "Token",
    "TransferCreate",
    "TransferPublic",
    "TransfersPublic",
    "TransfersReadTransfersCount",
    "TransfersReadTransfersSort",
    "UpdatePassword",
    "UserCreate",
    "UserPublic",
    "UserRegister",
    "UsersPublic",
    "UsersReadUsersCount",
    "UsersReadUsersSort",
    "UserUpdate",
    "UserUpdateMe",
    "ValidationError",
)
