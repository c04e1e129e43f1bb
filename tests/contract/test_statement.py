"""Statements: an account and all its entries as a snapshot."""

from __future__ import annotations

import asyncio

import pytest

from backends import ledger
from backends.errors import NotFound, NotOwner
from backends.models import Account, Statement, StatementEntry, Transfer, User
from backends.protocols import Backend

from .conftest import Opener
from .expectations import race, raises
from .money import (
    after,
    books,
    entries_of,
    money,
    needs_transactions,
    open_account,
    order_of,
)
from .samples import UNKNOWN_ID, malformed_ids

pytestmark = pytest.mark.rule("Money")


@pytest.fixture
async def account(backend: Backend, owner: User) -> Account:
    """Return an empty account of the owner."""
    return await open_account(backend, owner)


async def _read(statement: Statement) -> list[StatementEntry]:
    """Return the remaining entries of a statement in one list."""
    return [entry async for part in statement.entries for entry in part]


def _seen(entry: Transfer, account: Account) -> StatementEntry:
    """Return the entry as the account sees it."""
    came = entry.to_account_id == account.id
    return StatementEntry(
        transfer=entry,
        other_account_id=entry.from_account_id if came else entry.to_account_id,
        amount_minor=entry.amount_minor if came else -entry.amount_minor,
        balance_minor=after(account, entry).balance_minor,
        version=after(account, entry).version,
    )


async def test_statement_of_an_account_without_entries_is_the_account(
    backend: Backend, account: Account
) -> None:
    """The statement of an account without entries has the account only, and needs no capability."""
    for owner_id in (None, account.owner_id):
        statement = await backend.accounts.statement(account.id, owner_id=owner_id)
        assert statement.account == account
        assert await _read(statement) == []


@pytest.mark.rule("Identity")
async def test_statement_of_unknown_id_raises_not_found(
    backend: Backend, account: Account, owner: User
) -> None:
    """Unknown and malformed ids raise the same error from the call itself."""
    for id_ in [UNKNOWN_ID, owner.id, *malformed_ids(account.id)]:
        for owner_id in (None, owner.id, ""):
            with raises(NotFound("account", id_)):
                await backend.accounts.statement(id_, owner_id=owner_id)


@pytest.mark.rule("Ownership")
async def test_statement_for_another_or_unknown_user_raises_not_owner(
    backend: Backend, account: Account, other_user: User
) -> None:
    """A caller who isn't the owner gets NotOwner and no content."""
    for owner_id in [other_user.id, UNKNOWN_ID, account.id, *malformed_ids(account.owner_id)]:
        with raises(NotOwner("account", account.id)):
            await backend.accounts.statement(account.id, owner_id=owner_id)


@needs_transactions("accounts.deposit")
async def test_statement_has_all_entries_oldest_first(
    backend: Backend, account: Account, owner: User, other_user: User
) -> None:
    """Incoming amounts are positive, outgoing negative, each with its balance.

    Both accounts show a transfer.
    """
    other = await open_account(backend, other_user)
    unconcerned = await open_account(backend, owner, balance=1)
    accounts, by = backend.accounts, other_user.id
    entries = [
        await accounts.deposit(account.id, money(2**53 - 1, "in"), ordered_by=by),
        await accounts.transfer(order_of(account, other, 2**52 + 1), ordered_by=by),
        await accounts.transfer(order_of(other, account, 3), ordered_by=owner.id),
        await accounts.withdraw(account.id, money(5), ordered_by=by),
    ]

    statement = await accounts.statement(account.id, owner_id=owner.id)
    assert statement.account == after(account, entries[-1]) == await accounts.get(account.id)
    assert await _read(statement) == [_seen(entry, account) for entry in entries]
    balances = [2**53 - 1, 2**52 - 2, 2**52 + 1, 2**52 - 4]
    assert [entry.balance_minor for entry in await entries_of(backend, account.id)] == balances
    assert await entries_of(backend, other.id, owner_id=other_user.id) == [
        _seen(entry, other) for entry in entries[1:3]
    ]
    assert len(await entries_of(backend, unconcerned.id)) == 1


@pytest.mark.rule("Atomicity")
@needs_transactions("accounts.deposit")
async def test_statement_is_of_the_moment_at_which_it_was_taken(
    backend: Backend, open_another: Opener, account: Account, owner: User
) -> None:
    """A statement that is read later is unchanged, also after its account and owner are deleted."""
    another = await open_another()
    entries = [
        await backend.accounts.deposit(account.id, money(5), ordered_by=owner.id),
        await backend.accounts.withdraw(account.id, money(2), ordered_by=owner.id),
    ]
    empty = await another.accounts.statement((await open_account(backend, owner)).id)
    early = [await each.accounts.statement(account.id) for each in (backend, another, backend)]
    then = after(account, entries[1])

    await another.accounts.deposit(account.id, money(7), ordered_by=owner.id)
    await another.accounts.deposit(empty.account.id, money(1), ordered_by=owner.id)
    late = await backend.accounts.statement(account.id)
    assert await _read(early[0]) == [_seen(entry, account) for entry in entries]
    assert len(await _read(late)) == 3
    await another.accounts.withdraw(account.id, money(10), ordered_by=owner.id)
    await another.accounts.delete(account.id)
    assert await _read(early[1]) == [_seen(entry, account) for entry in entries]
    await another.accounts.withdraw(empty.account.id, money(1), ordered_by=owner.id)
    await another.users.delete(owner.id)

    assert await _read(early[2]) == [_seen(entry, account) for entry in entries]
    assert await _read(empty) == []
    assert [statement.account for statement in early] == [then] * 3


@needs_transactions("accounts.deposit")
async def test_statement_of_many_entries_comes_in_several_lists(
    backend: Backend, account: Account, owner: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A list has at most a thousand entries. Changes between two lists, even a deletion, are in none."""
    assert ledger.STATEMENT_BATCH == 1000
    monkeypatch.setattr(ledger, "STATEMENT_BATCH", 20)  # The real size would take a thousand deposits.
    accounts = backend.accounts
    entries = [await accounts.deposit(account.id, money(1), ordered_by=owner.id) for _ in range(41)]
    expected = [_seen(entry, account) for entry in entries]

    statement = await accounts.statement(account.id)
    parts = [await anext(statement.entries)]
    assert backend.connections_in_use == 0
    await accounts.withdraw(account.id, money(len(entries)), ordered_by=owner.id)
    await accounts.delete(account.id)
    parts += [part async for part in statement.entries]

    assert statement.account == after(account, entries[-1])
    assert [entry for part in parts for entry in part] == expected
    assert [len(part) for part in parts] == [20, 20, 1]


@needs_transactions("accounts.deposit")
async def test_statement_that_is_not_read_to_its_end_keeps_nothing(
    backend: Backend, account: Account, owner: User
) -> None:
    """A reader can stop at any time, or never start, without keeping a connection."""
    await backend.accounts.deposit(account.id, money(5), ordered_by=owner.id)
    for _ in range(30):  # More than a pool has.
        await backend.accounts.statement(account.id)
        statement = await backend.accounts.statement(account.id)
        await anext(statement.entries)
        assert backend.connections_in_use == 0


@pytest.mark.rule("Atomicity")
@needs_transactions("accounts.deposit")
async def test_statements_taken_while_money_moves_add_up(
    backend: Backend, open_another: Opener, owner: User, account: Account
) -> None:
    """Each is consistent: the version is the number of entries, and each balance follows from the last."""
    another = await open_another()
    other = await open_account(backend, owner, balance=50)
    moving = True

    async def move() -> None:
        nonlocal moving
        for n in range(12):
            pair = (other, account) if n % 3 < 2 else (account, other)
            await another.accounts.transfer(order_of(*pair, 2), ordered_by=owner.id)
        moving = False

    async def watch() -> list[Statement]:
        taken = []
        while moving:
            statement = await backend.accounts.statement(account.id)
            taken.append(statement)
            entries = await _read(statement)
            balance = 0
            for version, entry in enumerate(entries, 2):
                balance += entry.amount_minor
                assert entry.balance_minor == balance
                assert entry.version == after(account, entry.transfer).version == version
            assert (statement.account.balance_minor, statement.account.version) == (
                balance,
                len(entries) + 1,
            )
        return taken

    _, taken = await asyncio.gather(move(), watch())

    versions = [statement.account.version for statement in taken]
    assert versions == sorted(versions)
    assert (await backend.accounts.get(account.id)).version == 13
    assert len((await books(backend))[1]) == 13
    results, errors = await race([backend.accounts.statement(account.id) for _ in range(5)])
    assert (len(results), errors) == (5, [])
