"""Accounts: add, get and delete, round trips of all fields, and the protection of money."""

from __future__ import annotations

from collections.abc import Collection
from datetime import UTC, datetime
from typing import Any

import pytest

from backends.errors import AccountNotEmpty, AlreadyExists, NotFound, NotOwner, VersionMismatch
from backends.ids import is_id
from backends.models import Account, NewAccount, Page, User
from backends.protocols import Backend
from eitherdb_contract.clock import ManualClock

from .conftest import ManualIds
from .expectations import all_rows, facts, race, raises
from .money import after, books, checked_books, money, needs_transactions, open_account
from .samples import (
    FULL_ACCOUNT,
    OTHER_ACCOUNT,
    UNKNOWN_ID,
    hex_id,
    malformed_ids,
    new_account,
)
from .test_text import TEXTS
from .test_time import TIMES

NONE_OF_THEM: list[Collection[int]] = [[], (2,), {0, -1}, frozenset({2**31, 2**63 - 1, -(2**63)})]


@pytest.fixture
async def full(backend: Backend, owner: User) -> Account:
    """Return an account with every field set."""
    return await backend.accounts.add(NewAccount.model_validate(FULL_ACCOUNT), owner_id=owner.id)


@pytest.mark.rule("Null")
@pytest.mark.parametrize("sample", [FULL_ACCOUNT, OTHER_ACCOUNT], ids=["full", "other"])
async def test_add_returns_what_get_returns(
    backend: Backend, owner: User, clock: ManualClock, sample: dict[str, Any]
) -> None:
    """`add` and each read method return every field as it was given."""
    clock.now = datetime(2026, 11, 23, 4, 5, 6, 7_000, tzinfo=UTC)

    account = await backend.accounts.add(NewAccount.model_validate(sample), owner_id=owner.id)

    expected = Account(
        id=account.id,
        owner_id=owner.id,
        balance_minor=0,
        created_at=datetime(2026, 11, 23, 4, 5, 6, 7_000, tzinfo=UTC),
        version=1,
        **sample,
    )
    assert account == expected
    assert await backend.accounts.get(account.id) == expected
    assert await backend.accounts.get(account.id, owner_id=owner.id) == expected
    assert await backend.accounts.list() == Page.of([expected], count=1, next=None)
    assert await backend.accounts.list(owner_id=owner.id) == Page.of([expected], count=1, next=None)
    assert (await backend.accounts.statement(account.id)).account == expected


@pytest.mark.rule("Identity")
async def test_add_makes_fresh_ids(backend: Backend, owner: User) -> None:
    """Ids are well-formed and unique, also for accounts with equal fields."""
    accounts = [await backend.accounts.add(new_account(), owner_id=owner.id) for _ in range(5)]

    assert all(is_id(account.id) for account in accounts)
    assert len({account.id for account in accounts}) == 5
    assert await books(backend) == (accounts[::-1], [])


@pytest.mark.rule("Uniqueness")
async def test_add_refuses_id_in_use(
    given_ids: Backend, ids: ManualIds, owner: User, other_user: User
) -> None:
    """A duplicate id raises an error about the id; the existing row is unchanged."""
    ids.upcoming = [hex_id(1), hex_id(1)]
    first = await given_ids.accounts.add(new_account(1), owner_id=owner.id)

    with raises(AlreadyExists("account", "id")):
        await given_ids.accounts.add(new_account(2), owner_id=other_user.id)

    assert await books(given_ids) == ([first], [])


@pytest.mark.rule("Identity")
async def test_add_lets_an_account_have_the_id_of_a_user(
    given_ids: Backend, ids: ManualIds, owner: User
) -> None:
    """Ids are unique per entity only."""
    ids.upcoming = [owner.id]

    account = await given_ids.accounts.add(new_account(), owner_id=owner.id)

    assert account.id == owner.id
    assert await books(given_ids) == ([account], [])


@pytest.mark.rule("References")
async def test_add_for_unknown_owner_raises_not_found(backend: Backend, full: Account, owner: User) -> None:
    """An account needs an existing owner; otherwise no row is stored."""
    for id_ in [UNKNOWN_ID, full.id, *malformed_ids(owner.id)]:
        with raises(NotFound("user", id_)):
            await backend.accounts.add(new_account(), owner_id=id_)

    assert await books(backend) == ([full], [])


@pytest.mark.rule("Text", "Time")
async def test_add_keeps_text_and_time_as_they_are(
    backend: Backend, clock: ManualClock, owner: User
) -> None:
    """Names with special characters and times of any year are kept unchanged."""
    clock.stop()
    names = [*TEXTS.values(), "\U0010ffff" * 255]
    for n, name in enumerate(names):
        clock.now = TIMES[n % len(TIMES)]
        account = await backend.accounts.add(NewAccount(name=name, currency="EUR"), owner_id=owner.id)
        assert (account.name, account.created_at) == (name, clock.now), ascii(name)
        assert await backend.accounts.get(account.id) == account, ascii(name)


@pytest.mark.rule("Text")
async def test_add_takes_every_currency_as_it_is_written(backend: Backend, owner: User) -> None:
    """Currencies with no, three or four decimals of the minor unit keep their code."""
    for currency in ("JPY", "KWD", "CLF", "CHF"):
        account = await open_account(backend, owner, currency=currency)
        assert account.currency == currency
        assert await backend.accounts.get(account.id) == account


@pytest.mark.rule("Identity")
async def test_get_and_delete_of_unknown_id_raise_not_found(backend: Backend, full: Account) -> None:
    """Unknown and malformed ids raise the same error for every caller; nothing is deleted."""
    for id_ in [UNKNOWN_ID, full.owner_id, *malformed_ids(full.id)]:
        for owner_id in (None, full.owner_id):
            with raises(NotFound("account", id_)):
                await backend.accounts.get(id_, owner_id=owner_id)
        for owner_id, versions in ((None, None), ("", [])):
            with raises(NotFound("account", id_)):
                await backend.accounts.delete(id_, owner_id=owner_id, versions=versions)

    assert await books(backend) == ([full], [])


@pytest.mark.rule("Ownership")
async def test_get_and_delete_of_another_or_unknown_user_raise_not_owner(
    backend: Backend, full: Account, other_user: User
) -> None:
    """A caller who isn't the owner gets NotOwner before any other error; the account is unchanged."""
    for owner_id in [other_user.id, UNKNOWN_ID, full.id, *malformed_ids(full.owner_id)]:
        with raises(NotOwner("account", full.id)):
            await backend.accounts.get(full.id, owner_id=owner_id)
        with raises(NotOwner("account", full.id)):
            await backend.accounts.delete(full.id, owner_id=owner_id)
        with raises(NotOwner("account", full.id)):
            await backend.accounts.delete(full.id, owner_id=owner_id, versions=[])

    assert await books(backend) == ([full], [])


@pytest.mark.rule("Ownership")
async def test_list_of_an_owner_contains_only_its_accounts(
    backend: Backend, owner: User, other_user: User
) -> None:
    """An owner's list and count contain only its accounts. An unknown owner has none."""
    accounts = [
        await backend.accounts.add(new_account(n), owner_id=(owner, other_user, owner)[n % 3].id)
        for n in range(9)
    ]

    for user in (owner, other_user):
        mine = [account for account in accounts[::-1] if account.owner_id == user.id]
        assert await backend.accounts.list(owner_id=user.id) == Page.of(mine, count=len(mine), next=None)
    for owner_id in [UNKNOWN_ID, accounts[0].id, *malformed_ids(owner.id)]:
        assert await backend.accounts.list(owner_id=owner_id) == Page.of([], count=0, next=None)


@pytest.mark.rule("Atomicity")
async def test_delete_removes_the_account_alone(backend: Backend, full: Account, owner: User) -> None:
    """A deleted account can't be read in any way; its owner and other accounts can."""
    neighbour = await backend.accounts.add(new_account(), owner_id=owner.id)

    await backend.accounts.delete(full.id, owner_id=owner.id, versions=[1])

    for read in (backend.accounts.get, backend.accounts.statement, backend.accounts.delete):
        with raises(NotFound("account", full.id)):
            await read(full.id)
    assert await books(backend) == ([neighbour], [])
    assert await all_rows(backend) == ([owner], [])


@pytest.mark.rule("Versions")
async def test_delete_of_another_version_raises_version_mismatch(backend: Backend, full: Account) -> None:
    """An account whose version is not among the expected ones is not deleted."""
    for versions in NONE_OF_THEM:
        for owner_id in (None, full.owner_id):
            with raises(VersionMismatch("account", full.id)):
                await backend.accounts.delete(full.id, owner_id=owner_id, versions=versions)

    assert await books(backend) == ([full], [])
    await backend.accounts.delete(full.id, versions=range(200))
    assert await books(backend) == ([], [])


@pytest.mark.rule("Versions")
@needs_transactions("accounts.deposit")
async def test_every_entry_is_a_version_that_delete_can_name(backend: Backend, full: Account) -> None:
    """Each entry makes a new version. `delete` refuses the old version and accepts the new one."""
    for entry in (
        await backend.accounts.deposit(full.id, money(5), ordered_by=full.owner_id),
        await backend.accounts.withdraw(full.id, money(5), ordered_by=full.owner_id),
    ):
        full = after(full, entry)
    for versions in ([], [1], {1, 2, 4}):
        with raises(VersionMismatch("account", full.id)):
            await backend.accounts.delete(full.id, versions=versions)
    assert (await books(backend))[0] == [full]

    await backend.accounts.delete(full.id, versions={3})

    assert (await checked_books(backend))[0] == []


@pytest.mark.rule("Deletion of money")
@needs_transactions("accounts.deposit")
async def test_delete_of_an_account_with_money_raises_account_not_empty(
    backend: Backend, full: Account, other_user: User
) -> None:
    """An account with any money is not deleted. NotOwner and VersionMismatch come before this error."""
    entry = await backend.accounts.deposit(full.id, money(1), ordered_by=other_user.id)
    before = [after(full, entry)], [entry]

    for owner_id in (None, full.owner_id):
        for versions in (None, [2], range(9)):
            with raises(AccountNotEmpty("account", full.id)):
                await backend.accounts.delete(full.id, owner_id=owner_id, versions=versions)
        with raises(VersionMismatch("account", full.id)):
            await backend.accounts.delete(full.id, owner_id=owner_id, versions=[1])
    with raises(NotOwner("account", full.id)):
        await backend.accounts.delete(full.id, owner_id=other_user.id, versions=[1])

    assert await checked_books(backend) == before


@pytest.mark.rule("Atomicity")
async def test_concurrent_deletes_of_one_account_let_one_win(backend: Backend, full: Account) -> None:
    """One call deletes; the others raise NotFound, with or without owner and version."""
    for versions in (None, {1}):
        account = await backend.accounts.add(new_account(), owner_id=full.owner_id)

        done, errors = await race(
            backend.accounts.delete(account.id, owner_id=(None, full.owner_id)[n % 2], versions=versions)
            for n in range(20)
        )

        assert (done, errors) == ([None], [facts(NotFound("account", account.id))] * 19)
    assert await books(backend) == ([full], [])
