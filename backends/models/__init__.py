"""The domain: what EitherDB stores, in terms that know no database and no HTTP.

What is stored is a frozen dataclass (`User`, `Item`): cheap to build from a row, compared by value.
What comes in is a pydantic form (`NewItem`, `ItemChanges`, …) that can't be built with text which some
database would refuse or change, so that every backend may trust it. In a form of changes a field that
was not set is kept as it is, and None clears it; `form.model_dump(exclude_unset=True)` is the change.
"""

from backends.models.accounts import Account, AccountFilter, AccountSort, NewAccount
from backends.models.idempotency import Idempotency
from backends.models.input_models import NotNull
from backends.models.items import Item, ItemChanges, ItemFilter, ItemSort, NewItem
from backends.models.money import MAX_MINOR, AmountMinor, Currency
from backends.models.pages import Page, Position
from backends.models.records import Record, Row
from backends.models.text import (
    EMAIL_MAX_LENGTH,
    Description,
    Email,
    HashedPassword,
    IdText,
    Name,
    Password,
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
    "normalise_email",
    "normalise_new_email",
    "trim_email",
    "with_folded",
]
