"""Examples for the OpenAPI document."""

from __future__ import annotations

from typing import Any

from pydantic import ConfigDict


def with_example(example: dict[str, Any]) -> ConfigDict:
    """Return a model configuration with an example for the OpenAPI document.

    The schema also validates attributes, so that a domain model can be its input.
    """
    return ConfigDict(json_schema_extra={"examples": [example]}, from_attributes=True)


USER = {
    "id": "6b033b863d1ef9f35065c8d0",
    "email": "ada@example.com",
    "is_active": True,
    "is_superuser": False,
    "full_name": "Ada Lovelace",
    "created_at": "2026-11-22T18:59:18.492Z",
}
NEW_USER = {"email": "ada@example.com", "password": "correct horse", "full_name": "Ada Lovelace"}
ACCOUNT = {
    "id": "6b033b863d1ef9f35065c8d2",
    "owner_id": "6b033b863d1ef9f35065c8d0",
    "name": "Savings",
    "currency": "EUR",
    "balance_minor": 12_50,
    "created_at": "2026-11-22T18:59:18.702Z",
}
TRANSFER = {
    "id": "6b033b863d1ef9f35065c8d4",
    "from_account_id": "6b033b863d1ef9f35065c8d2",
    "to_account_id": "6b033b863d1ef9f35065c8d3",
    "amount_minor": 7_50,
    "note": "Lunch",
    "created_at": "2026-11-22T18:59:18.733Z",
    "idempotency_key": "8e03978e-40d5-43e8-bc93-6894a57f9324",
}
TOKEN = "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiI2YjAzIn0.c2lnbmF0dXJl"  # noqa: S105 - an example


ENTRY = {
    "transfer_id": TRANSFER["id"],
    "other_account_id": TRANSFER["to_account_id"],
    "amount_minor": -7_50,
    "balance_minor": 12_50,
    "note": TRANSFER["note"],
    "created_at": TRANSFER["created_at"],
}
