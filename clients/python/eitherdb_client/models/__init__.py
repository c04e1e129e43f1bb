"""Contains all the data models used in inputs/outputs"""

from .body_login_login_access_token import BodyLoginLoginAccessToken
from .error_body import ErrorBody
from .http_validation_error import HTTPValidationError
from .item_create import ItemCreate
from .item_public import ItemPublic
from .item_update import ItemUpdate
from .items_public import ItemsPublic
from .items_read_items_count import ItemsReadItemsCount
from .items_read_items_sort import ItemsReadItemsSort
from .message import Message
from .new_password import NewPassword
from .private_user_create import PrivateUserCreate
from .token import Token
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
    "BodyLoginLoginAccessToken",
    "ErrorBody",
    "HTTPValidationError",
    "ItemCreate",
    "ItemPublic",
    "ItemsPublic",
    "ItemsReadItemsCount",
    "ItemsReadItemsSort",
    "ItemUpdate",
    "Message",
    "NewPassword",
    "PrivateUserCreate",
    "Token",
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
