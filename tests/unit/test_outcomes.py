"""What is kept under an idempotency key, and what is read from it."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from backends.errors import (
    BackendError,
    BalanceOverflow,
    CurrencyMismatch,
    IdempotencyKeyReused,
    InsufficientFunds,
    NotFound,
    NotOwner,
    UnreadableRow,
)
from backends.idempotency import EntryId, read_outcome, write_outcome
from backends.models import Account, Idempotency

ID = "6b033b863d1ef9f35065c8d0"
KEY = Idempotency("key", "0" * 64)
ACCOUNT = Account(
    id=ID,
    owner_id=ID[::-1],
    name='"é\\',
    currency="EUR",
    balance_minor=0,
    created_at=datetime(2026, 11, 22, 18, 59, 18, 492_000, tzinfo=UTC),
    version=1,
)


@pytest.mark.parametrize("outcome", [ACCOUNT, replace(ACCOUNT, balance_minor=2**53 - 1), EntryId(ID)])
def test_outcome_is_read_as_it_was_written(outcome: Account | EntryId) -> None:
    """With its type: an entry's id is not any text."""
    found = read_outcome(write_outcome(outcome), KEY.fingerprint, KEY)
    assert found == outcome
    assert type(found) is type(outcome)


@pytest.mark.parametrize(
    "refusal",
    [
        NotFound("account", ID),
        NotFound("account", "x" * 255),
        NotOwner("account", ID),
        CurrencyMismatch("EUR", "USD"),
        InsufficientFunds(ID),
        BalanceOverflow(ID),
    ],
    ids=repr,
)
def test_refusal_is_raised_again(refusal: BackendError) -> None:
    """With all its facts."""
    with pytest.raises(BackendError) as caught:
        read_outcome(write_outcome(refusal), KEY.fingerprint, KEY)
    assert type(caught.value) is type(refusal)
    assert vars(caught.value) == vars(refusal)


def test_id_that_is_none_is_kept_in_part() -> None:
    """What is kept has a bounded length, whatever was given for an id."""
    kept = write_outcome(NotFound("account", "x" * 256))
    with pytest.raises(NotFound) as caught:
        read_outcome(kept, KEY.fingerprint, KEY)
    assert caught.value.id == "x" * 255


@pytest.mark.parametrize("outcome", [ACCOUNT, EntryId(ID), NotFound("account", ID)], ids=repr)
def test_key_of_another_call_is_refused(outcome: Account | EntryId | BackendError) -> None:
    """Whatever became of that call."""
    with pytest.raises(IdempotencyKeyReused) as caught:
        read_outcome(write_outcome(outcome), "1" * 64, KEY)
    assert caught.value.key == KEY.key


@pytest.mark.parametrize(
    "kept",
    [
        "",
        "null",
        "[]",
        "{}",
        f'["{ID}"]',
        f'{{"EntryId": "{ID}", "Account": {{}}}}',
        '{"EntryId": "x"}',
        '{"EntryId": 5}',
        '{"Account": {}}',
        '{"NotFound": {}}',
        '{"NotFound": []}',
        '{"NotFound": null}',
        '{"KeyError": {}}',
    ],
)
def test_what_somebody_else_wrote_is_told_as_unreadable(kept: str) -> None:
    """By the key, so that an operator finds it."""
    with pytest.raises(UnreadableRow, match="idempotency_keys"):
        read_outcome(kept, KEY.fingerprint, KEY)
