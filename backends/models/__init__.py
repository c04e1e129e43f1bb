"""The domain models, independent of databases and of HTTP.

Stored records (`User`, `Item`, …) are frozen dataclasses: cheap to build from a row, compared by value.
Input models (`NewItem`, `ItemChanges`, …) are pydantic models. They reject text that some database would
refuse or change, so every backend can trust them. In a model of changes, an unset field keeps its value and
None clears it; `changes.model_dump(exclude_unset=True)` returns the changes.
"""

from backends.models.accounts import Account, AccountFilter, AccountSort, NewAccount
from backends.models.idempotency import Idempotency
from backends.models.input_models import NotNull
from backends.models.items import Item, ItemChanges, ItemFilter, ItemSort, NewItem, with_items
from backends.models.money import MAX_MINOR, AmountMinor, Currency
from backends.models.pages import Page, Position
from backends.models.passwords import CurrentPassword, Password, has_password_length, normalise_password
from backends.models.records import Record, Row, StoredObject
from backends.models.text import (
    EMAIL_MAX_LENGTH,
    Description,
    Email,
    HashedPassword,
    IdText,
    Name,
    SearchText,
    Title,
    fold_case,
    normalise_email,
    normalise_new_email,
    trim_email,
    with_folded,
)
from backends.models.times import TimeAfter, TimeBefore
from backends.models.transfers import (
    ENTRY_FIELDS,
    SIDE_FIELDS,
    NewEntry,
    NewTransfer,
    Side,
    Statement,
    StatementEntry,
    Transfer,
    TransferFilter,
    TransferSort,
)
from backends.models.users import NewUser, User, UserChanges, UserFilter, UserSort

__all__ = [
    "EMAIL_MAX_LENGTH",
    "ENTRY_FIELDS",
    "MAX_MINOR",
    "SIDE_FIELDS",
    "Account",
    "AccountFilter",
    "AccountSort",
    "AmountMinor",
    "Currency",
    "CurrentPassword",
    "Description",
    "Email",
    "HashedPassword",
    "IdText",
    "Idempotency",
    "Item",
    "ItemChanges",
    "ItemFilter",
    "ItemSort",
    "Name",
    "NewAccount",
    "NewEntry",
    "NewItem",
    "NewTransfer",
    "NewUser",
    "NotNull",
    "Page",
    "Password",
    "Position",
    "Record",
    "Row",
    "SearchText",
    "Side",
    "Statement",
    "StatementEntry",
    "StoredObject",
    "TimeAfter",
    "TimeBefore",
    "Title",
    "Transfer",
    "TransferFilter",
    "TransferSort",
    "User",
    "UserChanges",
    "UserFilter",
    "UserSort",
    "fold_case",
    "has_password_length",
    "normalise_email",
    "normalise_new_email",
    "normalise_password",
    "trim_email",
    "with_folded",
    "with_items",
]
