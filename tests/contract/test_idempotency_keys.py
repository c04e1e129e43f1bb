"""Idempotency keys: their owner and their comparison."""

from __future__ import annotations

import pytest

from backends.errors import IdempotencyKeyReused
from backends.models import User
from backends.protocols import Backend

from .expectations import raises
from .money import after, checked_books, key, money, needs_transactions, open_account
from .samples import hex_id, new_account

pytestmark = pytest.mark.rule("Idempotency")


@needs_transactions("accounts.deposit")
async def test_keys_are_each_users_own(backend: Backend, owner: User, other_user: User) -> None:
    """Two users can use the same key for different calls, also on one account."""
    account = await open_account(backend, owner, balance=1)
    for n, user in enumerate((owner, other_user)):
        for again in (False, True):
            added = await backend.accounts.add(
                new_account(n), owner_id=user.id, idempotency=key("a", f"{n}")
            )
            entry = await backend.accounts.deposit(
                account.id, money(5 + n), ordered_by=user.id, idempotency=key("b", f"{n}")
            )
            assert (added.owner_id, added.name) == (user.id, f"account {n}")
            assert (entry.ordered_by, entry.amount_minor) == (user.id, 5 + n)
            if not again:
                account = after(account, entry)
        with raises(IdempotencyKeyReused("a")):
            await backend.accounts.deposit(
                account.id, money(1), ordered_by=user.id, idempotency=key("a", "x")
            )
        with raises(IdempotencyKeyReused("b")):
            await backend.accounts.add(new_account(), owner_id=user.id, idempotency=key("b", "x"))

    accounts, entries = await checked_books(backend)
    assert (len(accounts), len(entries)) == (3, 3)
    assert accounts[-1] == account


@needs_transactions("accounts.deposit")
async def test_keys_are_compared_character_by_character(backend: Backend, owner: User) -> None:
    """Keys of visible ASCII differ by case and by length; no character is a pattern."""
    account = await open_account(backend, owner)
    names = ["a", "A", "aa", "a" * 254, "a" * 255, "~" * 255, "!", '"', "'", "\\", "%", "_", "*", "$gt"]
    names += ["a.b", "{}", "null", "None", "0", "00", "-1", "1e3", "true", hex_id(0), account.id, owner.id]
    deposit = backend.accounts.deposit
    first = [
        await deposit(account.id, money(1), ordered_by=owner.id, idempotency=key(name)) for name in names
    ]
    again = [
        await deposit(account.id, money(1), ordered_by=owner.id, idempotency=key(name)) for name in names
    ]

    assert again == first
    assert [entry.idempotency_key for entry in first] == names
    assert await checked_books(backend) == ([after(account, first[-1])], first[::-1])
