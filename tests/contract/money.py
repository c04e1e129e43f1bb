"""Helpers for money: accounts, idempotency keys, the effect of an entry, and the check of the ledger."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import suppress
from dataclasses import replace
from functools import wraps
from hashlib import sha256
from typing import Any, TypeVar

import pytest

from backends.capabilities import Capability
from backends.errors import Conflict
from backends.models import (
    MAX_MINOR,
    Account,
    Idempotency,
    NewAccount,
    NewEntry,
    NewTransfer,
    Side,
    StatementEntry,
    Transfer,
    User,
)
from backends.protocols import MAX_LIMIT, Backend

from .expectations import refused_without

T = TypeVar("T")
Test = Callable[..., Coroutine[Any, Any, None]]
Books = tuple[list[Account], list[Transfer]]


def needs_transactions(operation: str) -> Callable[[Test], Test]:
    """Mark a test whose first call of this operation is refused where the backend has no transactions.

    There the test ends with that refusal, which must leave all accounts and the ledger unchanged.
    """

    def decorate(test: Test) -> Test:
        @wraps(test)
        async def checked(**fixtures: Any) -> None:
            backend: Backend = fixtures["backend"]
            with refused_without(backend, Capability.TRANSACTIONS, operation):
                await test(**fixtures)
            if Capability.TRANSACTIONS not in backend.capabilities:
                accounts, entries = await books(backend)
                assert entries == []
                assert {(account.balance_minor, account.version) for account in accounts} <= {(0, 1)}

        return checked

    return decorate


def key(name: str = "key", request: str = "request") -> Idempotency:
    """Return an idempotency key with the fingerprint of the call that uses it."""
    return Idempotency(name, sha256(request.encode()).hexdigest())


def money(amount_minor: int, note: str | None = None) -> NewEntry:
    """Return the input of a deposit or a withdrawal."""
    return NewEntry(amount_minor=amount_minor, note=note)


def order_of(source: Account | str, target: Account | str, amount_minor: int) -> NewTransfer:
    """Return the input of a transfer between two accounts, each given as a row or an id."""
    return NewTransfer(
        from_account_id=source if isinstance(source, str) else source.id,
        to_account_id=target if isinstance(target, str) else target.id,
        amount_minor=amount_minor,
    )


async def retry_conflicts(call: Callable[[], Awaitable[T]]) -> T:
    """Make a call. Retry after each conflict with a concurrent change."""
    for _ in range(20):
        with suppress(Conflict):
            return await call()
    pytest.fail("the call kept colliding")


async def open_account(
    backend: Backend, owner: User, *, balance: int = 0, currency: str = "EUR", name: str = "account"
) -> Account:
    """Add an account and deposit its initial balance, if any."""
    new = NewAccount(name=name, currency=currency)
    account = await backend.accounts.add(new, owner_id=owner.id)
    if balance:
        entry = await backend.accounts.deposit(account.id, money(balance), ordered_by=owner.id)
        account = after(account, entry)
    return account


def side(account: Account, change: int) -> Side:
    """Return the account's side of an entry that changes the balance by this amount."""
    return Side(
        account_id=account.id,
        owner_id=account.owner_id,
        balance_minor=account.balance_minor + change,
        version=account.version + 1,
    )


def after(account: Account, entry: Transfer) -> Account:
    """Return the account as the entry left it."""
    (left,) = (each for each in (entry.source, entry.target) if each and each.account_id == account.id)
    return replace(account, balance_minor=left.balance_minor, version=left.version)


async def entries_of(backend: Backend, id: str, *, owner_id: str | None = None) -> list[StatementEntry]:
    """Return the entries of an account's statement in one list."""
    statement = await backend.accounts.statement(id, owner_id=owner_id)
    return [entry async for part in statement.entries for entry in part]


async def books(backend: Backend) -> Books:
    """Return all accounts and all entries, newest first, to compare the state before and after a call."""
    accounts = await backend.accounts.list(limit=MAX_LIMIT)
    assert accounts.next is None, "too many accounts for one page"
    page = await backend.accounts.transfers(limit=MAX_LIMIT)
    entries = page.data
    while page.next:
        page = await backend.accounts.transfers(limit=MAX_LIMIT, after=page.next)
        entries = entries + page.data
    assert (accounts.count, page.count) == (len(accounts.data), len(entries))
    return accounts.data, entries


async def checked_books(backend: Backend) -> Books:
    """Return the books after a check that the entries of every account add up to its balance."""
    accounts, entries = await books(backend)
    histories = defaultdict[str, list[tuple[int, int, int]]](list)
    for entry in entries:
        assert entry.source or entry.target
        for each, change in ((entry.source, -entry.amount_minor), (entry.target, entry.amount_minor)):
            if each:
                histories[each.account_id].append((each.version, each.balance_minor, change))
    left = {account.id: (account.version, account.balance_minor) for account in accounts}
    for account_id in {*left, *histories}:
        balance = 0
        history = sorted(histories[account_id])
        for expected_version, (version, balance_then, change) in enumerate(history, 2):
            balance += change
            assert (version, balance_then) == (expected_version, balance), account_id
            assert 0 <= balance <= MAX_MINOR
        # A deleted account had a balance of 0.
        assert left.get(account_id, (len(history) + 1, 0)) == (len(history) + 1, balance), account_id
    return accounts, entries
