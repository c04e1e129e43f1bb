"""Stored rows for `eitherdb check --rows`: batches and orders."""

from __future__ import annotations

import pytest

from backends.capabilities import Capability
from backends.models import Idempotency, NewItem, NewTransfer, NewUser
from backends.protocols import Backend
from backends.rows import KINDS, RowKind
from backends.rows.rules import find_problems
from backends.rows.walk import RowWalk

from .expectations import refused_without
from .money import money, open_account
from .samples import UNKNOWN_ID

pytestmark = pytest.mark.rule("Null", "Order")

HASH = "$argon2id$v=19$m=19456,t=2,p=1$c29tZXNhbHRzYWx0$aGFzaGhhc2hoYXNoaGFzaA"
COUNTS: dict[RowKind, int] = {"users": 5, "items": 10, "accounts": 5, "counters": 3}


@pytest.fixture
async def filled(backend: Backend) -> dict[RowKind, int]:
    """Store rows of every kind; return their number."""
    users = [
        await backend.users.add(NewUser(email=f"u{n}@example.com", hashed_password=HASH, full_name=None))
        for n in range(5)
    ]
    for n in range(10):
        new = NewItem(title=f"Stra\u00dfe {n}", description=None if n % 2 else "\u0130\U0001f600")
        await backend.items.add(new, owner_id=users[n % 5].id)
    accounts = [await open_account(backend, user) for user in users]
    for n in range(3):
        await backend.counters.add(f"counter {n}", n - 1, lasts_seconds=60)
    if Capability.TRANSACTIONS not in backend.capabilities:
        with refused_without(backend, Capability.TRANSACTIONS, "accounts.deposit"):
            await backend.accounts.deposit(UNKNOWN_ID, money(1), ordered_by=users[0].id)
        return {**COUNTS, "transfers": 0, "idempotency_keys": 0}
    for n, account in enumerate(accounts):
        key = Idempotency(f"key-{n}", f"{n:064x}")
        await backend.accounts.deposit(account.id, money(10), ordered_by=users[0].id, idempotency=key)
        new_transfer = NewTransfer(
            from_account_id=account.id, to_account_id=accounts[n - 1].id, amount_minor=3
        )
        await backend.accounts.transfer(new_transfer, ordered_by=users[n].id)
    return {**COUNTS, "transfers": 10, "idempotency_keys": 5}


async def test_check_of_stored_rows_finds_no_violation(
    backend: Backend, filled: dict[RowKind, int]
) -> None:
    """The check visits every row of every kind and finds no violation."""
    report = await RowWalk(backend).run()

    assert report.faults == []
    assert report.rows == filled


async def test_read_rows_gives_every_row_once_in_batches(
    backend: Backend, filled: dict[RowKind, int]
) -> None:
    """Rows are in order of the primary key. Each batch starts with the last row of the batch before."""
    for kind in KINDS:
        whole = await backend.read_rows(kind, by=(), start=None, limit=1000)
        assert len(whole) == filled[kind]
        assert [find_problems(kind, row.fields) for row in whole] == [[]] * len(whole)
        assert [row.problems for row in whole] == [()] * len(whole)
        assert len({row.place for row in whole}) == len(whole)
        for n, row in enumerate(whole):
            assert await backend.read_rows(kind, by=(), start=row.place, limit=2) == whole[n : n + 2]


async def test_read_rows_orders_by_fields(backend: Backend, filled: dict[RowKind, int]) -> None:
    """The order is ascending. A row with a null in a sort field is left out, and a start needs no row."""
    users = await backend.read_rows("users", by=("email",), start=None, limit=1000)
    assert [row.fields["email"] for row in users] == [f"u{n}@example.com" for n in range(5)]
    assert [row.place for row in users] == [(row.fields["email"],) for row in users]
    assert await backend.read_rows("users", by=("email",), start=("u2@",), limit=1) == users[2:3]

    for side in ("from", "to"):
        by = (f"{side}_account_id", f"{side}_version")
        entries = await backend.read_rows("transfers", by=by, start=None, limit=1000)
        values = [tuple(row.fields[name] for name in by) for row in entries]
        assert values == sorted(values)
        assert len(values) == filled["transfers"] // (2 if side == "from" else 1)
        if entries:
            account = entries[-1].place[:1]
            of_account = await backend.read_rows("transfers", by=by, start=(*account, 0), limit=1000)
            assert of_account == [row for row in entries if row.place[:1] == account]
