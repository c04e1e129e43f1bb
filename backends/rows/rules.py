"""The rules for one stored row: the types of the domain models, validated strictly."""

from __future__ import annotations

import re
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError
from pydantic_core import PydanticCustomError

from backends.idempotency import parse_outcome
from backends.ids import is_id
from backends.models import (
    MAX_MINOR,
    SIDE_FIELDS,
    AmountMinor,
    Currency,
    Description,
    HashedPassword,
    Name,
    Title,
    fold_case,
    normalise_email,
)
from backends.models.text import EMAIL_MAX_LENGTH, storable
from backends.rows.stored import Fields, Problem, RowKind

# The formats of `argon2` and `bcrypt`, with any parameters.
_HASH = re.compile(
    r"\$argon2(id|i|d)\$(v=\d+\$)?m=\d+,t=\d+,p=\d+\$[A-Za-z0-9+/]+\$[A-Za-z0-9+/]+"
    r"|\$2[abxy]\$\d\d\$[./A-Za-z0-9]{53}"
)
_FINGERPRINT = re.compile("[0-9a-f]{64}")


def _refuse_unless(is_valid: Callable[[Any], bool], what: str) -> AfterValidator:
    def check(value: Any) -> Any:
        if not is_valid(value):
            raise PydanticCustomError("rule", what)
        return value

    return AfterValidator(check)


def _is_normalised(address: str) -> bool:
    try:
        return normalise_email(address) == address
    except ValueError:
        return False


def _is_time(time: datetime) -> bool:
    offset = time.utcoffset()
    return offset is not None and not offset and time.microsecond % 1000 == 0


def _is_outcome(kept: str) -> bool:
    try:
        parse_outcome(kept)
    except Exception:  # noqa: BLE001 - whatever reading it raises
        return False
    return True


def _not_null(value: Any) -> Any:
    if value is None:
        raise PydanticCustomError("null", "is null")
    return value


NotNull = BeforeValidator(_not_null)
Id = Annotated[str, _refuse_unless(is_id, "should be the 24 lower-case hex digits of an id"), NotNull]
Time = Annotated[datetime, _refuse_unless(_is_time, "should be UTC in whole milliseconds"), NotNull]
Text = Annotated[str, Field(max_length=2**20), AfterValidator(storable), NotNull]
Version = Annotated[int, Field(ge=1), NotNull]
Balance = Annotated[int, Field(ge=0, le=MAX_MINOR), NotNull]
EntryVersion = Annotated[int, Field(ge=2), NotNull]
Key = Annotated[str, Field(min_length=1, max_length=255), AfterValidator(storable), NotNull]


class _Row(BaseModel):
    model_config = ConfigDict(strict=True, extra="ignore")


class StoredUser(_Row):
    """The row of a user."""

    id: Id
    email: Annotated[
        str,
        Field(max_length=EMAIL_MAX_LENGTH),
        AfterValidator(storable),
        _refuse_unless(_is_normalised, "is not a normalised address"),
        NotNull,
    ]
    hashed_password: Annotated[
        HashedPassword,
        _refuse_unless(lambda text: bool(_HASH.fullmatch(text)), "is no known hash"),
        NotNull,
    ]
    full_name: Name | None
    is_active: Annotated[bool, NotNull]
    is_superuser: Annotated[bool, NotNull]
    created_at: Time
    version: Version
    session_version: Annotated[int, Field(ge=0), NotNull]


class StoredItem(_Row):
    """The row of an item."""

    id: Id
    title: Annotated[Title, NotNull]
    description: Description | None
    owner_id: Id
    created_at: Time
    version: Version
    title_folded: Text
    description_folded: Annotated[str | None, Field(max_length=2**20)]


class StoredAccount(_Row):
    """The row of an account."""

    id: Id
    owner_id: Id
    name: Annotated[Title, NotNull]
    currency: Annotated[Currency, NotNull]
    balance_minor: Balance
    created_at: Time
    version: Version


class StoredTransfer(_Row):
    """The row of an entry of the ledger."""

    id: Id
    ordered_by: Id
    idempotency_key: Key | None
    amount_minor: Annotated[AmountMinor, NotNull]
    note: Description | None
    created_at: Time
    from_account_id: Id | None
    from_owner_id: Id | None
    from_balance_minor: Balance | None
    from_version: EntryVersion | None
    to_account_id: Id | None
    to_owner_id: Id | None
    to_balance_minor: Balance | None
    to_version: EntryVersion | None


class StoredIdempotencyKey(_Row):
    """The row of the outcome of a call."""

    owner_id: Id
    key: Key
    fingerprint: Annotated[
        str,
        _refuse_unless(lambda text: bool(_FINGERPRINT.fullmatch(text)), "is no SHA-256 digest"),
        NotNull,
    ]
    outcome: Annotated[Text, _refuse_unless(_is_outcome, "is no outcome of a call")]
    created_at: Time


class StoredCounter(_Row):
    """The row of a counter."""

    key: Key
    value: Annotated[int, Field(ge=-(2**63), lt=2**63), NotNull]
    ends_at: Time


STORED_MODELS: dict[RowKind, type[_Row]] = {
    "users": StoredUser,
    "items": StoredItem,
    "accounts": StoredAccount,
    "transfers": StoredTransfer,
    "idempotency_keys": StoredIdempotencyKey,
    "counters": StoredCounter,
}


def find_problems(kind: RowKind, fields: Fields) -> list[Problem]:
    """Return the violations of a single row, in the order of its fields; empty if the row is valid."""
    found: dict[str, Problem] = {}
    try:
        STORED_MODELS[kind].__pydantic_validator__.validate_python(fields)
    except ValidationError as exc:
        for error in exc.errors(include_url=False, include_context=False, include_input=False):
            name = str(error["loc"][0])
            found.setdefault(name, Problem(name, _in_words(error["type"], error["msg"])))
    if between := _BETWEEN_FIELDS.get(kind):
        # Invalid fields can't be compared.
        with suppress(KeyError, TypeError):
            for problem in between(fields):
                found.setdefault(problem.field, problem)
    return list(found.values())


def _in_words(error_type: str, message: str) -> str:
    """Rephrase a message of pydantic so that it can follow the name of a field."""
    if error_type == "missing":
        return "is missing"
    words = re.sub(r"^(Input|String|Value|Currency|Integer) should", "should", message)
    return words[0].lower() + words[1:]


def _of_item(fields: Fields) -> list[Problem]:
    """Compare the folded columns with their sources."""
    return [
        Problem(f"{name}_folded", f"is not the search form of the {name}")
        for name in ("title", "description")
        if fields[f"{name}_folded"] != (fields[name] and fold_case(fields[name]))
    ]


def _of_transfer(fields: Fields) -> list[Problem]:
    """Find incomplete sides, and entries whose two accounts are the same."""
    problems = []
    sides = {side: [fields[f"{side}_{name}"] for name in SIDE_FIELDS] for side in ("from", "to")}
    for side, values in sides.items():
        missing = [name for name, value in zip(SIDE_FIELDS, values, strict=True) if value is None]
        if missing and len(missing) < len(values):
            problems.append(Problem(f"{side}_{missing[0]}", "is null though the entry has that side"))
    accounts = [fields[f"{side}_account_id"] for side in sides]
    if accounts == [None, None]:
        problems.append(Problem("from_account_id", "is null, as is the other account"))
    elif accounts[0] == accounts[1]:
        problems.append(Problem("to_account_id", "is the account that the money came from"))
    return problems


_BETWEEN_FIELDS: dict[RowKind, Callable[[Fields], list[Problem]]] = {
    "items": _of_item,
    "transfers": _of_transfer,
}
