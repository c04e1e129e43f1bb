"""Races of calls with one key, through two backends on one database: all have the same outcome."""

from __future__ import annotations

from functools import partial

import pytest

from backends.errors import IdempotencyKeyReused, InsufficientFunds
from backends.models import Account, User
from backends.protocols import Backend

from .conftest import Opener
from .expectations import facts, race
from .money import checked_books, key, money, needs_transactions, open_account, retry_conflicts

pytestmark = pytest.mark.rule("Idempotency", "Conflicts")


@needs_transactions("accounts.deposit")
async def test_concurrent_refusal_and_deposit_have_one_outcome(
    backend: Backend, open_another: Opener, owner: User
) -> None:
    """While money arrives, all repetitions have one outcome: all are refused, or all return one entry."""
    both = backend, await open_another()
    for n in range(5):
        source = await open_account(backend, owner, balance=4)
        calls = [
            both[m % 2].accounts.withdraw(source.id, money(5), ordered_by=owner.id, idempotency=key(f"{n}"))
            for m in range(8)
        ]
        cure = retry_conflicts(partial(both[1].accounts.deposit, source.id, money(1), ordered_by=owner.id))

        results, errors = await race([*calls[:4], cure, *calls[4:]])

        withdrawn = [result for result in results if result.source is not None]
        if errors:
            assert (withdrawn, errors) == ([], [facts(InsufficientFunds(source.id))] * 8)
        else:
            assert withdrawn == [withdrawn[0]] * 8
        now: Account = await backend.accounts.get(source.id)
        assert now.balance_minor == (5 if errors else 0)
    await checked_books(backend)


@needs_transactions("accounts.deposit")
async def test_concurrent_calls_with_one_key_for_two_things_do_one_of_them(
    backend: Backend, open_another: Opener, owner: User
) -> None:
    """One fingerprint wins: its calls return one outcome, and calls with the other are refused."""
    both = backend, await open_another()
    account = await open_account(backend, owner, balance=1)
    for n in range(5):
        results, errors = await race(
            retry_conflicts(
                partial(
                    both[m // 2 % 2].accounts.deposit,
                    account.id,
                    money(1 + m % 2),
                    ordered_by=owner.id,
                    idempotency=key(f"{n}", f"{m % 2}"),
                )
            )
            for m in range(16)
        )

        assert results == [results[0]] * 8
        assert errors == [facts(IdempotencyKeyReused(f"{n}"))] * 8
    assert len((await checked_books(backend))[1]) == 6
