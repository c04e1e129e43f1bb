"""Trials of the anomalies in EitherDB's methods; each returns the observed anomaly, or None."""

from __future__ import annotations

import asyncio
from typing import Any

from backends.errors import AccountNotEmpty, BackendError, InsufficientFunds, NotFound, VersionMismatch
from backends.models import ItemChanges, NewAccount, NewEntry, NewItem, NewTransfer, NewUser
from backends.protocols import Backend

ROUNDS = 10
"""The number of repetitions of each race in EitherDB's methods."""
HASH = "no password has this hash"


async def update_one_version_twice(backend: Backend) -> str | None:
    """Update an item twice at once, both with the version that was read."""
    owner = await _add_user(backend)
    item = await backend.items.add(NewItem(title="0"), owner_id=owner)
    for number in range(ROUNDS):
        outcomes = await asyncio.gather(
            *(
                backend.items.update(
                    item.id, ItemChanges(title=f"{number} {side}"), versions={item.version}
                )
                for side in ("one", "two")
            ),
            return_exceptions=True,
        )
        _raise_unexpected(VersionMismatch, outcomes)
        stored = await backend.items.get(item.id)
        if [outcome for outcome in outcomes if not isinstance(outcome, BaseException)] != [stored]:
            return f"of two changes of version {item.version} not exactly one was made: {outcomes}"
        item = stored
    return None


async def delete_owner_during_deposit(backend: Backend) -> str | None:
    """Delete a user whose account is empty, and deposit money into the account at the same time.

    The order alternates, because some databases run the two one after the other.
    """
    depositor = await _add_user(backend)
    for number in range(ROUNDS):
        owner = await _add_user(backend, f"owner{number}@example.com")
        account = (await backend.accounts.add(NewAccount(name="a", currency="EUR"), owner_id=owner)).id
        deletion = backend.users.delete(owner)
        deposit = backend.accounts.deposit(account, NewEntry(amount_minor=1), ordered_by=depositor)
        if number % 2:
            paid, gone = await asyncio.gather(deposit, deletion, return_exceptions=True)
        else:
            gone, paid = await asyncio.gather(deletion, deposit, return_exceptions=True)
        _raise_unexpected((AccountNotEmpty, NotFound), (gone, paid))
        if isinstance(gone, BaseException) == isinstance(paid, BaseException):
            return f"not exactly one was done: the deletion gave {gone!r}, the deposit {paid!r}"
    return None


async def read_balances_during_transfers(backend: Backend) -> str | None:
    """Read all balances while money moves between them; every third transfer is refused."""
    owner = await _add_user(backend)
    ids = [
        (await backend.accounts.add(NewAccount(name=name, currency="EUR"), owner_id=owner)).id
        for name in ("a", "b")
    ]
    await backend.accounts.deposit(ids[0], NewEntry(amount_minor=100), ordered_by=owner)

    async def move() -> None:
        for number in range(3 * ROUNDS):
            source, target = ids if number % 2 else ids[::-1]
            amount = 10**6 if number % 3 == 0 else 1
            new = NewTransfer(from_account_id=source, to_account_id=target, amount_minor=amount)
            try:
                await backend.accounts.transfer(new, ordered_by=owner)
            except InsufficientFunds:
                continue

    moving = asyncio.create_task(move())
    try:
        while not moving.done():
            page = await backend.accounts.list(owner_id=owner)
            total = sum(account.balance_minor for account in page.data)
            if total != 100:
                return f"the balances were read as {total} in all, and are 100 at every moment"
            await asyncio.sleep(0)  # lets the transfers run if the backend's calls never wait
        await moving
    finally:
        moving.cancel()
        await asyncio.wait({moving})
    return None


async def read_statement_during_deposits(backend: Backend) -> str | None:
    """Open a statement, add an entry, and read the statement after that."""
    owner = await _add_user(backend)
    account = (await backend.accounts.add(NewAccount(name="a", currency="EUR"), owner_id=owner)).id
    for number in range(ROUNDS):
        statement = await backend.accounts.statement(account)
        await backend.accounts.deposit(account, NewEntry(amount_minor=1), ordered_by=owner)
        entries = [entry async for part in statement.entries for entry in part]
        if len(entries) != number:
            return f"a statement of {number} entries had {len(entries)} when it was read after one more"
    return None


async def _add_user(backend: Backend, email: str = "one@example.com") -> str:
    return (await backend.users.add(NewUser(email=email, hashed_password=HASH))).id


def _raise_unexpected(expected: type[BackendError] | tuple[type[BackendError], ...], outcomes: Any) -> None:
    """Raise an exception that is not one of the expected errors."""
    for outcome in outcomes:
        if isinstance(outcome, BaseException) and not isinstance(outcome, expected):
            raise outcome
