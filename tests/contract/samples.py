"""Sample data: input models with every field set, and ids of every kind."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from backends.models import NewAccount, NewItem, NewUser

UNKNOWN_ID = "0123456789abcdef01234567"

# Every field has a value other than its default, so that a field that is not written or read is found.
FULL_USER: dict[str, Any] = {
    "email": "ada@example.com",
    "hashed_password": "$argon2id$v=19$m=65536,t=3,p=4$c2FsdA$aGFzaA",
    "full_name": "Ada Lovelace",
    "is_active": False,
    "is_superuser": True,
}
OTHER_USER: dict[str, Any] = {
    "email": "countess@example.com",
    "hashed_password": "$argon2id$v=19$m=65536,t=3,p=4$cGVwcGVy$b3RoZXI",
    "full_name": "Augusta King",
    "is_active": True,
    "is_superuser": False,
}
FULL_ITEM: dict[str, Any] = {"title": "Note G", "description": "Bernoulli numbers"}
OTHER_ITEM: dict[str, Any] = {"title": "Note A", "description": "The engine weaves"}
FULL_ACCOUNT: dict[str, Any] = {"name": "Giro", "currency": "EUR"}
OTHER_ACCOUNT: dict[str, Any] = {"name": "Savings", "currency": "JPY"}
FULL_ENTRY: dict[str, Any] = {"amount_minor": 2**52 + 1, "note": "Cards and tins"}
OTHER_ENTRY: dict[str, Any] = {"amount_minor": 12_34, "note": "Wheels"}
FULL_TRANSFER: dict[str, Any] = {
    **FULL_ENTRY,
    "from_account_id": "0123456789abcdef00000001",
    "to_account_id": "0123456789abcdef00000002",
}
OTHER_TRANSFER: dict[str, Any] = {
    **OTHER_ENTRY,
    "from_account_id": "0123456789abcdef00000003",
    "to_account_id": "0123456789abcdef00000004",
}


LONG_AGO, SOON = datetime(1815, 12, 10, tzinfo=UTC), datetime(2852, 11, 27, tzinfo=UTC)
USER_FILTER: dict[str, Any] = {"is_active": True, "created_after": LONG_AGO, "created_before": SOON}
ITEM_FILTER: dict[str, Any] = {
    "title": "Note G",
    "q": "bernoulli",
    "created_after": LONG_AGO,
    "created_before": SOON,
}
ACCOUNT_FILTER: dict[str, Any] = {"currency": "EUR", "created_after": LONG_AGO, "created_before": SOON}
TRANSFER_FILTER: dict[str, Any] = {"created_after": LONG_AGO, "created_before": SOON}


def new_user(n: int = 0) -> NewUser:
    """Return the input of a user. Users with different numbers differ."""
    return NewUser(email=f"user{n}@example.com", hashed_password=f"hash {n}", full_name=f"User {n}")


def new_item(n: int = 0) -> NewItem:
    """Return the input of an item. Items with different numbers differ."""
    return NewItem(title=f"item {n}", description=f"description {n}")


def new_account(n: int = 0) -> NewAccount:
    """Return the input of an account. Accounts with different numbers differ."""
    return NewAccount(name=f"account {n}", currency=("EUR", "USD")[n % 2])


def hex_id(n: int) -> str:
    """Return the id with this number as its bytes."""
    return f"{n:024x}"


def malformed_ids(existing: str) -> list[str]:
    """Return malformed ids, most of them similar to an existing id."""
    assert existing.upper() != existing, "the upper-case id would equal the id itself"
    return [
        "",
        " ",
        existing[:-1],
        existing + "0",
        existing[:12],
        existing * 2,
        existing.upper(),
        f" {existing}",
        f"{existing} ",
        f"{existing}\n",
        f"{existing[:8]}-{existing[8:12]}-{existing[12:]}",
        f"0x{existing}",
        f'{{"$oid": "{existing}"}}',
        "g" * 24,
        "a" * 12,
        "\x00",
        f"{existing}\x00",
        "\x00" * 24,
        "\U0001f600" * 24,
        "\N{ARABIC-INDIC DIGIT ONE}" * 24,
        "\N{FULLWIDTH DIGIT ONE}" * 24,
        "0",
        "1",
        "-1",
        str(2**63),
        str(2**64),
        "null",
        "None",
        "../",
        "' OR '1'='1",
        "%",
        existing[:23] + "_",
        "a" * 10_000,
    ]
