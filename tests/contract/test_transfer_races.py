"""Races of transfers through two backends on one database: the sum is constant and no call hangs."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial

import pytest

from backends.errors import AccountNotEmpty, BackendError, BalanceOverflow, InsufficientFunds, NotFound
from backends.models import MAX_MINOR, Account, Transfer, User
from backends.protocols import Backend

from .conftest import Opener
from .expectations import MAX_ATTEMPTS, delete_user_with_retries, facts, race
from .money import (
    checked_books,
    money,
    needs_transactions,
    open_account,
    order_of,
    retry_conflicts,
    side,
)
from .samples import new_user

pytestmark = pytest.mark.rule("Money", "Conflicts")

WORKERS, ROUNDS = 6, 8


@needs_transactions("accounts.deposit")
async def test_concurrent_transfers_in_both_directions_keep_the_sum(
    backend: Backend, open_another: Opener, owner: User
) -> None:
    """Only insufficient funds refuse a transfer, and the balances of each page add up."""
    both = backend, await open_another()
    accounts = [await open_account(backend, owner, balance=20) for _ in range(3)]
    running = WORKERS
    refusals = set[object]()
    sums = set[int]()

    async def work(worker: int) -> None:
        nonlocal running
        for n in range(ROUNDS):
            # Each pair of workers uses one cycle of accounts, forwards and backwards.
            place = (worker // 2 + n) % 3
            pair = [accounts[place], accounts[(place + 1) % 3]][:: 1 if worker % 2 else -1]
            transfer = partial(
                both[worker % 2].accounts.transfer,
                order_of(pair[0], pair[1], 3 + n),
                ordered_by=owner.id,
                owner_id=owner.id,
            )
            _, errors = await race([retry_conflicts(transfer)])
            refusals.update(errors)
        running -= 1

    async def watch(through: Backend) -> None:
        while running:
            page = await through.accounts.list(count=False)
            sums.add(sum(account.balance_minor for account in page.data))
            assert all(account.balance_minor >= 0 for account in page.data)
            await asyncio.sleep(0)  # Yields, because not every backend waits for a server.

    async with asyncio.TaskGroup() as tasks:
        for worker in range(WORKERS):
            tasks.create_task(work(worker))
        tasks.create_task(watch(both[1]))

    assert refusals <= {facts(InsufficientFunds(account.id)) for account in accounts}
    assert sums == {60}
    left, _ = await checked_books(backend)
    assert sum(account.balance_minor for account in left) == 60


@needs_transactions("accounts.deposit")
async def test_concurrent_entries_of_one_account_are_all_counted(
    backend: Backend, open_another: Opener, owner: User
) -> None:
    """Each of many concurrent deposits and withdrawals is an entry with its own version."""
    both = backend, await open_another()
    account = await open_account(backend, owner, balance=100)

    entries, errors = await race(
        retry_conflicts(
            partial(
                both[n % 2].accounts.deposit if n % 3 else both[n % 2].accounts.withdraw,
                account.id,
                money(1 + n),
                ordered_by=owner.id,
            )
        )
        for n in range(20)
    )

    assert (len(entries), errors) == (20, [])
    sides = [entry.source or entry.target for entry in entries]
    assert {each.version for each in sides if each} == set(range(3, 23))
    assert await backend.accounts.get(account.id) in (await checked_books(backend))[0]


@pytest.mark.rule("Atomicity")
@needs_transactions("accounts.deposit")
async def test_concurrent_claims_of_the_same_money_let_one_win(
    backend: Backend, open_another: Opener, owner: User
) -> None:
    """Of concurrent calls that exclude each other one succeeds; the others raise the exact error."""
    both = backend, await open_another()
    target = await open_account(backend, owner)
    for n in range(5):
        source = await open_account(backend, owner, balance=9)
        calls: list[Callable[[Backend], Awaitable[Transfer]]] = [
            lambda b, s=source: b.accounts.withdraw(s.id, money(9), ordered_by=owner.id),  # type: ignore[misc]
            lambda b, s=source: b.accounts.transfer(order_of(s, target, 9), ordered_by=owner.id),  # type: ignore[misc]
        ]

        entries, errors = await race(
            retry_conflicts(partial(calls[(m + n) % 2], both[m // 2 % 2])) for m in range(8)
        )

        assert errors == [facts(InsufficientFunds(source.id))] * 7
        assert [entry.source for entry in entries] == [side(source, -9)]
    full = await open_account(backend, owner, balance=1)

    entries, errors = await race(
        retry_conflicts(
            partial(both[m % 2].accounts.deposit, full.id, money(MAX_MINOR - 1), ordered_by=owner.id)
        )
        for m in range(8)
    )

    assert errors == [facts(BalanceOverflow(full.id))] * 7
    assert [entry.target for entry in entries] == [side(full, MAX_MINOR - 1)]
    await checked_books(backend)


async def _work_until_refused(backend: Backend, account: Account, by: User) -> list[BackendError]:
    """Deposit and withdraw until the account is deleted.

    Each deposit must be followed by its withdrawal.
    """
    for _ in range(ROUNDS):
        try:
            await retry_conflicts(partial(backend.accounts.deposit, account.id, money(2), ordered_by=by.id))
        except NotFound as exc:
            return [exc]
        await retry_conflicts(partial(backend.accounts.withdraw, account.id, money(2), ordered_by=by.id))
    return []


@pytest.mark.rule("Deletion of money")
@needs_transactions("accounts.deposit")
@pytest.mark.parametrize("what", ["account", "user"])
async def test_delete_racing_entries_loses_no_money(
    backend: Backend, open_another: Opener, owner: User, what: str
) -> None:
    """An account is deleted only while it is empty. A caller that has deposited money can withdraw it."""
    both = backend, await open_another()
    await open_account(backend, owner, balance=1)
    for number in range(4):
        user = await backend.users.add(new_user(10 + number))
        account = await open_account(backend, user)
        refusal = AccountNotEmpty("account", account.id)
        if what == "user":
            refusal = AccountNotEmpty("user", user.id)

        async def delete(user: User, account: Account, refusal: BackendError, through: Backend) -> int:
            """Retry the deletion until it succeeds; return how often it was refused."""
            for refused in range(MAX_ATTEMPTS):
                deletion = (
                    delete_user_with_retries(through, user.id)
                    if what == "user"
                    else through.accounts.delete(account.id)
                )
                done, errors = await race([deletion])
                if done:
                    return refused
                assert errors == [facts(refusal)]
            raise AssertionError(
                "the other calls never made progress: see Concurrency in backends.protocols"
            )

        async with asyncio.TaskGroup() as tasks:
            workers = [
                tasks.create_task(_work_until_refused(both[n % 2], account, owner)) for n in range(3)
            ]
            tasks.create_task(delete(user, account, refusal, both[number % 2]))

        errors = [facts(error) for worker in workers for error in worker.result()]
        assert set(errors) <= {facts(NotFound("account", account.id))}
        accounts, _ = await checked_books(backend)
        assert [account.balance_minor for account in accounts] == [1]


@pytest.mark.rule("Deletion of money")
@needs_transactions("accounts.deposit")
async def test_delete_of_both_ends_racing_a_transfer_keeps_the_money(
    backend: Backend, open_another: Opener, owner: User
) -> None:
    """The account that has the money in the end is not deleted, whichever it is."""
    both = backend, await open_another()
    for number in range(10):
        source = await open_account(backend, owner, balance=5)
        target = await open_account(backend, owner)
        calls: list[Awaitable[Transfer | None]] = [
            retry_conflicts(
                partial(both[0].accounts.transfer, order_of(source, target, 5), ordered_by=owner.id)
            ),
            both[1].accounts.delete(target.id),
            both[number % 2].accounts.delete(source.id),
        ]

        results, errors = await race(calls[number % 3 :] + calls[: number % 3])

        accounts, _ = await checked_books(backend)
        assert sum(account.balance_minor for account in accounts) == 5
        refusals = {facts(AccountNotEmpty("account", account.id)) for account in (source, target)}
        moved = [result for result in results if result]
        if moved:
            assert [(entry.source, entry.target) for entry in moved] == [
                (side(source, -5), side(target, 5))
            ]
            assert facts(AccountNotEmpty("account", target.id)) in errors
            assert set(errors) <= refusals
        else:
            assert results == [None]
            assert set(errors) == {
                facts(NotFound("account", target.id)),
                facts(AccountNotEmpty("account", source.id)),
            }
        for account in accounts:
            if account.balance_minor:
                await backend.accounts.withdraw(account.id, money(5), ordered_by=owner.id)
            await backend.accounts.delete(account.id)
