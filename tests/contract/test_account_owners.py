"""Owners of accounts: a user with money can't be deleted; empty accounts are deleted with their user."""

from __future__ import annotations

from functools import partial

import pytest

from backends.errors import AccountNotEmpty, NotFound, VersionMismatch
from backends.models import Account, Page, Transfer, User, UserChanges
from backends.protocols import Backend

from .conftest import Opener
from .expectations import (
    all_rows,
    changed,
    delete_user,
    delete_user_with_retries,
    facts,
    race,
    raises,
)
from .money import (
    after,
    books,
    checked_books,
    money,
    needs_transactions,
    open_account,
    order_of,
    retry_conflicts,
)
from .samples import new_account, new_item, new_user

pytestmark = pytest.mark.rule("Cascade")


@pytest.fixture
async def account(backend: Backend, owner: User) -> Account:
    """Return an empty account of the owner."""
    return await backend.accounts.add(new_account(), owner_id=owner.id)


async def test_delete_of_user_takes_all_its_empty_accounts_and_no_others(
    backend: Backend, owner: User, other_user: User
) -> None:
    """Deleting a user deletes all its accounts and no account of others."""
    accounts = [
        await backend.accounts.add(new_account(n), owner_id=(owner, other_user)[n % 2].id)
        for n in range(30)
    ]
    await backend.items.add(new_item(), owner_id=owner.id)

    deleted = await delete_user(backend, owner.id)

    kept = [account for account in accounts if account.owner_id == other_user.id or not deleted]
    assert await books(backend) == (kept[::-1], [])
    if deleted:
        assert await all_rows(backend) == ([other_user], [])
        assert await backend.accounts.list(owner_id=owner.id) == Page.of([], count=0, next=None)
        for account in accounts[::2]:
            with raises(NotFound("account", account.id)):
                await backend.accounts.get(account.id)
        with raises(NotFound("user", owner.id)):
            await backend.accounts.add(new_account(), owner_id=owner.id)
        assert await books(backend) == (kept[::-1], [])


@pytest.mark.rule("Deletion of money")
@needs_transactions("accounts.deposit")
async def test_delete_of_user_with_money_raises_account_not_empty(
    backend: Backend, owner: User, other_user: User, account: Account
) -> None:
    """One minor unit in one of many accounts prevents the deletion of the user and all its rows."""
    entry = await backend.accounts.deposit(account.id, money(1), ordered_by=owner.id)
    others = [await backend.accounts.add(new_account(n), owner_id=owner.id) for n in range(3)]
    item = await backend.items.add(new_item(), owner_id=owner.id)
    before = [*others[::-1], after(account, entry)], [entry]

    for versions in (None, [1], {1, 2}):
        with raises(AccountNotEmpty("user", owner.id)):
            await backend.users.delete(owner.id, versions=versions)
    with raises(VersionMismatch("user", owner.id)):
        await backend.users.delete(owner.id, versions=[2])

    assert await checked_books(backend) == before
    assert await all_rows(backend) == ([other_user, owner], [item])


@pytest.mark.rule("Deletion of money")
@needs_transactions("accounts.deposit")
async def test_delete_of_user_after_the_money_has_gone_is_done(
    backend: Backend, owner: User, other_user: User
) -> None:
    """Emptied accounts are deleted with their user. Money in another user's account doesn't prevent it."""
    mine = [await open_account(backend, owner, balance=7) for _ in range(2)]
    other = await open_account(backend, other_user)
    await backend.accounts.withdraw(mine[0].id, money(7), ordered_by=owner.id)
    entry = await backend.accounts.transfer(order_of(mine[1], other, 7), ordered_by=owner.id)
    _, entries = await books(backend)

    await backend.users.delete(owner.id, versions=[owner.version])

    assert await all_rows(backend) == ([other_user], [])
    assert await checked_books(backend) == ([after(other, entry)], entries)


@needs_transactions("accounts.deposit")
async def test_ledger_keeps_the_entries_of_deleted_accounts_and_users(
    backend: Backend, owner: User, other_user: User, account: Account
) -> None:
    """Entries stay readable by the same users after a deletion. The ledger never changes."""
    other = await open_account(backend, other_user)
    entries = [
        await backend.accounts.deposit(account.id, money(9, "in"), ordered_by=other_user.id),
        await backend.accounts.transfer(order_of(account, other, 4), ordered_by=owner.id),
        await backend.accounts.withdraw(account.id, money(5, "out"), ordered_by=owner.id),
    ][::-1]

    async def assert_kept() -> None:
        for user, seen in ((owner, entries), (other_user, entries[1:2])):
            page = await backend.accounts.transfers(owner_id=user.id)
            assert page == Page.of(seen, count=len(seen), next=None)
        for entry in entries:
            assert await backend.accounts.get_transfer(entry.id) == entry
            assert await backend.accounts.get_transfer(entry.id, owner_id=owner.id) == entry
        assert (await checked_books(backend))[1] == entries

    await assert_kept()
    await backend.accounts.delete(account.id)
    await assert_kept()
    await backend.users.delete(owner.id)
    await assert_kept()
    assert (await books(backend))[0] == [after(other, entries[1])]


async def test_entries_do_not_change_the_user(backend: Backend, owner: User, account: Account) -> None:
    """An entry or a deleted account doesn't change the version of its owner."""
    await backend.accounts.delete(account.id)
    again = await backend.accounts.add(new_account(), owner_id=owner.id)

    assert await backend.users.get(owner.id) == owner
    renamed = await backend.users.update(owner.id, UserChanges(full_name="x"), versions=[1])
    assert renamed == changed(owner, full_name="x")
    assert await books(backend) == ([again], [])


async def test_delete_of_user_racing_deletions_of_its_accounts_takes_them_all(
    backend: Backend, open_another: Opener
) -> None:
    """An account is deleted alone or with its owner: neither order keeps an account or fails."""
    another = await open_another()
    for number in range(5):
        user = await backend.users.add(new_user(number))
        accounts = [await backend.accounts.add(new_account(n), owner_id=user.id) for n in range(4)]

        _, errors = await race(
            [
                *(backend.accounts.delete(account.id) for account in accounts),
                delete_user_with_retries(another, user.id),
            ]
        )

        assert set(errors) <= {facts(NotFound("account", account.id)) for account in accounts}
        assert await books(backend) == ([], [])


@pytest.mark.rule("Deletion of money")
@needs_transactions("accounts.deposit")
async def test_delete_of_user_racing_deposits_loses_no_money(
    backend: Backend, open_another: Opener, other_user: User
) -> None:
    """Either all deposits succeed and the user stays, or all raise NotFound: no money is deleted."""
    both = backend, await open_another()
    for number in range(10):
        user = await backend.users.add(new_user(number + 10))
        account = await backend.accounts.add(new_account(), owner_id=user.id)
        # The account has no entry yet, so a backend without transactions refuses here.
        first = await open_account(backend, other_user, balance=3)
        deposits = [
            retry_conflicts(
                partial(both[n % 2].accounts.deposit, account.id, money(1), ordered_by=other_user.id)
            )
            for n in range(4)
        ]
        transfer = retry_conflicts(
            partial(backend.accounts.transfer, order_of(first, account, 3), ordered_by=other_user.id)
        )
        deletion = delete_user_with_retries(both[number % 2], user.id)
        place = number % 5

        results, errors = await race([*deposits[:place], deletion, *deposits[place:], transfer])

        entries = [result for result in results if isinstance(result, Transfer)]
        if True in results:
            assert (entries, errors) == ([], [facts(NotFound("account", account.id))] * 5)
        else:
            assert (len(entries), errors) == (5, [facts(AccountNotEmpty("user", user.id))])
            now = await backend.accounts.get(account.id)
            assert (now.balance_minor, now.version) == (7, 6)
        accounts, ledger = await checked_books(backend)
        deposited = sum(entry.amount_minor for entry in ledger if entry.source is None)
        assert sum(account.balance_minor for account in accounts) == deposited
