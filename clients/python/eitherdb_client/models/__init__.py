"""Contains all the data models used in inputs/outputs"""

from .body_login_login_access_token import BodyLoginLoginAccessToken
from .error_body import ErrorBody
from .http_validation_error import HTTPValidationError
from .item_create import ItemCreate
from .item_public import ItemPublic
from .item_update import ItemUpdate
from .items_public import ItemsPublic
from .items_read_items_count import ItemsReadItemsCount
from .message import Message
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
from .validation_error import ValidationError

__all__ = (
    "BodyLoginLoginAccessToken",
    "ErrorBody",
    "HTTPValidationError",
    "ItemCreate",
    "ItemPublic",
    "ItemsPublic",
    "ItemsReadItemsCount",
    "ItemUpdate",
    "Message",
    "PrivateUserCreate",
    "Token",
    "UpdatePassword",
    "UserCreate",
    "UserPublic",
    "UserRegister",
    "UsersPublic",
    "UsersReadUsersCount",
    "UserUpdate",
    "UserUpdateMe",
    "ValidationError",
)
