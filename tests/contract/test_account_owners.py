"""Users who have accounts: with money they stay, without it their accounts go along."""

from __future__ import annotations

from functools import partial

import pytest

from backends.errors import AccountNotEmpty, NotFound, VersionMismatch
from backends.models import Account, Page, Transfer, User, UserChanges
from backends.protocols import Backend

from .conftest import Opener
from .expectations import (
    changed,
    delete_user,
    delete_user_in_the_end,
    everything,
    facts,
    race,
    raises,
)
from .money import (
    after,
    books,
    checked_books,
    in_the_end,
    money,
    needs_transactions,
    open_account,
    order_of,
)
from .samples import new_account, new_item, new_user

pytestmark = pytest.mark.rule("Cascade")


@pytest.fixture
async def account(backend: Backend, owner: User) -> Account:
    """Return an empty account of the owner."""
    return await backend.accounts.add(new_account(), owner_id=owner.id)


async def test_delete_of_user_takes_all_its_empty_accounts_and_no_others(
    backend: Backend, owner: User, stranger: User
) -> None:
    """A user's accounts go with the user, however many; those of others are untouched."""
    accounts = [
        await backend.accounts.add(new_account(n), owner_id=(owner, stranger)[n % 2].id) for n in range(30)
    ]
    await backend.items.add(new_item(), owner_id=owner.id)

    deleted = await delete_user(backend, owner.id)

    kept = [account for account in accounts if account.owner_id == stranger.id or not deleted]
    assert await books(backend) == (kept[::-1], [])
    if deleted:
        assert await everything(backend) == ([stranger], [])
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
    backend: Backend, owner: User, stranger: User, account: Account
) -> None:
    """One minor unit in one of many accounts keeps the user, its items and all its accounts."""
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
    assert await everything(backend) == ([stranger, owner], [item])


@pytest.mark.rule("Deletion of money")
@needs_transactions("accounts.deposit")
async def test_delete_of_user_after_the_money_has_gone_is_done(
    backend: Backend, owner: User, stranger: User
) -> None:
    """Emptied accounts go with their user, and another's full one is no hindrance."""
    mine = [await open_account(backend, owner, balance=7) for _ in range(2)]
    other = await open_account(backend, stranger)
    await backend.accounts.withdraw(mine[0].id, money(7), ordered_by=owner.id)
    entry = await backend.accounts.transfer(order_of(mine[1], other, 7), ordered_by=owner.id)
    _, entries = await books(backend)

    await backend.users.delete(owner.id, versions=[owner.version])

    assert await everything(backend) == ([stranger], [])
    assert await checked_books(backend) == ([after(other, entry)], entries)


@needs_transactions("accounts.deposit")
async def test_ledger_keeps_the_entries_of_deleted_accounts_and_users(
    backend: Backend, owner: User, stranger: User, account: Account
) -> None:
    """What moved can be read by whom it could be before: nothing in the ledger is ever changed."""
    other = await open_account(backend, stranger)
    entries = [
        await backend.accounts.deposit(account.id, money(9, "in"), ordered_by=stranger.id),
        await backend.accounts.transfer(order_of(account, other, 4), ordered_by=owner.id),
        await backend.accounts.withdraw(account.id, money(5, "out"), ordered_by=owner.id),
    ][::-1]

    async def assert_kept() -> None:
        for user, seen in ((owner, entries), (stranger, entries[1:2])):
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
    """An account is none of its owner's fields: its coming and going is no version of the user."""
    await backend.accounts.delete(account.id)
    again = await backend.accounts.add(new_account(), owner_id=owner.id)

    assert await backend.users.get(owner.id) == owner
    renamed = await backend.users.update(owner.id, UserChanges(full_name="x"), versions=[1])
    assert renamed == changed(owner, full_name="x")
    assert await books(backend) == ([again], [])


async def test_delete_of_user_racing_deletions_of_its_accounts_takes_them_all(
    backend: Backend, open_another: Opener
) -> None:
    """An account goes by itself or with its owner: no order of the two keeps any, and none fails."""
    another = await open_another()
    for number in range(5):
        user = await backend.users.add(new_user(number))
        accounts = [await backend.accounts.add(new_account(n), owner_id=user.id) for n in range(4)]

        _, errors = await race(
            [
                *(backend.accounts.delete(account.id) for account in accounts),
                delete_user_in_the_end(another, user.id),
            ]
        )

        assert set(errors) <= {facts(NotFound("account", account.id)) for account in accounts}
        assert await books(backend) == ([], [])


@pytest.mark.rule("Deletion of money")
@needs_transactions("accounts.deposit")
async def test_delete_of_user_racing_deposits_loses_no_money(
    backend: Backend, open_another: Opener, stranger: User
) -> None:
    """Either all deposits are there and the user stays, or all found nothing: none goes with the user."""
    both = backend, await open_another()
    for number in range(10):
        user = await backend.users.add(new_user(number + 10))
        account = await backend.accounts.add(new_account(), owner_id=user.id)
        # So far no entry is in the ledger of this account: the refusal without transactions comes here.
        first = await open_account(backend, stranger, balance=3)
        deposits = [
            in_the_end(partial(both[n % 2].accounts.deposit, account.id, money(1), ordered_by=stranger.id))
            for n in range(4)
        ]
        transfer = in_the_end(
            partial(backend.accounts.transfer, order_of(first, account, 3), ordered_by=stranger.id)
        )
        deletion = delete_user_in_the_end(both[number % 2], user.id)
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
