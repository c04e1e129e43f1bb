"""The rules for one stored row of the built-in kinds: the types of the domain models."""

from __future__ import annotations

import re
from collections.abc import Callable
from contextlib import suppress
from typing import Annotated

from pydantic import AfterValidator, Field

from backends.idempotency import parse_outcome
from backends.models import (
    MAX_MINOR,
    SIDE_FIELDS,
    AmountMinor,
    Currency,
    Description,
    HashedPassword,
    Item,
    Name,
    Title,
)
from backends.models.text import EMAIL_MAX_LENGTH, storable
from backends.rows.resource_rules import find_resource_problems
from backends.rows.stored import Fields, Problem, RowKind
from backends.rows.values import (
    Id,
    NotNull,
    StoredModel,
    Text,
    Time,
    Version,
    is_normalised,
    refuse_unless,
    violations,
)

# The formats of `argon2` and `bcrypt`, with any parameters.
_HASH = re.compile(
    r"\$argon2(id|i|d)\$(v=\d+\$)?m=\d+,t=\d+,p=\d+\$[A-Za-z0-9+/]+\$[A-Za-z0-9+/]+"
    r"|\$2[abxy]\$\d\d\$[./A-Za-z0-9]{53}"
)
_FINGERPRINT = re.compile("[0-9a-f]{64}")


def _is_outcome(kept: str) -> bool:
    try:
        parse_outcome(kept)
    except Exception:  # noqa: BLE001 - whatever reading it raises
        return False
    return True


Balance = Annotated[int, Field(ge=0, le=MAX_MINOR)]
EntryVersion = Annotated[int, Field(ge=2)]
Key = Annotated[str, Field(min_length=1, max_length=255), AfterValidator(storable)]


class StoredUser(StoredModel):
    """The row of a user."""

    id: Annotated[Id, NotNull]
    email: Annotated[
        str,
        Field(max_length=EMAIL_MAX_LENGTH),
        AfterValidator(storable),
        refuse_unless(is_normalised, "is not a normalised address"),
        NotNull,
    ]
    hashed_password: Annotated[
        HashedPassword,
        refuse_unless(lambda text: bool(_HASH.fullmatch(text)), "is no known hash"),
        NotNull,
    ]
    full_name: Name | None
    is_active: Annotated[bool, NotNull]
    is_superuser: Annotated[bool, NotNull]
    created_at: Annotated[Time, NotNull]
    version: Annotated[Version, NotNull]
    session_version: Annotated[int, Field(ge=0), NotNull]


class StoredAccount(StoredModel):
    """The row of an account."""

    id: Annotated[Id, NotNull]
    owner_id: Annotated[Id, NotNull]
    name: Annotated[Title, NotNull]
    currency: Annotated[Currency, NotNull]
    balance_minor: Annotated[Balance, NotNull]
    created_at: Annotated[Time, NotNull]
    version: Annotated[Version, NotNull]


class StoredTransfer(StoredModel):
    """The row of an entry of the ledger."""

    id: Annotated[Id, NotNull]
    ordered_by: Annotated[Id, NotNull]
    idempotency_key: Key | None
    amount_minor: Annotated[AmountMinor, NotNull]
    note: Description | None
    created_at: Annotated[Time, NotNull]
    from_account_id: Id | None
    from_owner_id: Id | None
    from_balance_minor: Balance | None
    from_version: EntryVersion | None
    to_account_id: Id | None
    to_owner_id: Id | None
    to_balance_minor: Balance | None
    to_version: EntryVersion | None


class StoredIdempotencyKey(StoredModel):
    """The row of the outcome of a call."""

    owner_id: Annotated[Id, NotNull]
    key: Annotated[Key, NotNull]
    fingerprint: Annotated[
        str,
        refuse_unless(lambda text: bool(_FINGERPRINT.fullmatch(text)), "is no SHA-256 digest"),
        NotNull,
    ]
    outcome: Annotated[Text, refuse_unless(_is_outcome, "is no outcome of a call"), NotNull]
    created_at: Annotated[Time, NotNull]


class StoredCounter(StoredModel):
    """The row of a counter."""

    key: Annotated[Key, NotNull]
    value: Annotated[int, Field(ge=-(2**63), lt=2**63), NotNull]
    ends_at: Annotated[Time, NotNull]


STORED_MODELS: dict[RowKind, type[StoredModel]] = {
    "users": StoredUser,
    "accounts": StoredAccount,
    "transfers": StoredTransfer,
    "idempotency_keys": StoredIdempotencyKey,
    "counters": StoredCounter,
}


def find_problems(kind: RowKind, fields: Fields) -> list[Problem]:
    """Return the violations of a row of one of `KINDS`; see `find_resource_problems` for the others.

    Returns:
        The violations in the order of the fields; empty if the row is valid.
    """
    if kind == "items":
        return find_resource_problems(Item, fields)
    found = violations(STORED_MODELS[kind], fields)
    if between := _BETWEEN_FIELDS.get(kind):
        # Invalid fields can't be compared.
        with suppress(KeyError, TypeError):
            for problem in between(fields):
                found.setdefault(problem.field, problem)
    return list(found.values())


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
    "transfers": _of_transfer,
}
