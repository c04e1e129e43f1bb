"""The ledger as a list: visibility and filters of entries. Reading needs no capability."""

from __future__ import annotations

from datetime import timedelta

import pytest

from backends.errors import NotFound, NotOwner
from backends.models import Account, Page, Transfer, TransferFilter, TransferSort, User
from backends.protocols import Backend
from eitherdb_contract.clock import ManualClock

from .conftest import ManualIds
from .expectations import raises
from .money import money, needs_transactions, open_account, order_of
from .samples import UNKNOWN_ID, malformed_ids, new_user

pytestmark = pytest.mark.rule("Money")

MILLISECOND = timedelta(milliseconds=1)
SORTS: list[TransferSort] = ["-created_at", "created_at"]
NOTHING: Page[Transfer] = Page.of([], count=0, next=None)


@pytest.fixture
async def mine(backend: Backend, owner: User) -> Account:
    """Return an account of the owner."""
    return await open_account(backend, owner, name="mine")


@pytest.fixture
async def theirs(backend: Backend, other_user: User) -> Account:
    """Return an account of the other user."""
    return await open_account(backend, other_user, name="theirs")


async def test_ledger_without_entries_is_empty(backend: Backend, mine: Account) -> None:
    """Without transactions the ledger can be read: the list is empty, and every id is unknown."""
    for owner_id in (None, mine.owner_id, UNKNOWN_ID, ""):
        assert await backend.accounts.transfers(owner_id=owner_id) == NOTHING
        for id_ in [UNKNOWN_ID, mine.id, *malformed_ids(mine.id)]:
            with raises(NotFound("transfer", id_)):
                await backend.accounts.get_transfer(id_, owner_id=owner_id)


@pytest.mark.rule("Ownership")
@needs_transactions("accounts.deposit")
async def test_entry_is_visible_to_its_owners_and_its_caller(
    backend: Backend, owner: User, other_user: User, mine: Account, theirs: Account
) -> None:
    """Only the owners of source and target, and the user who ordered it, can read an entry."""
    caller, unrelated = [await backend.users.add(new_user(n)) for n in (10, 11)]
    accounts = backend.accounts
    for entry, readers in [
        (await accounts.deposit(mine.id, money(9), ordered_by=caller.id), {owner, caller}),
        (await accounts.deposit(theirs.id, money(9), ordered_by=other_user.id), {other_user}),
        (
            await accounts.transfer(order_of(mine, theirs, 1), ordered_by=caller.id),
            {owner, other_user, caller},
        ),
        (await accounts.transfer(order_of(theirs, mine, 1), ordered_by=owner.id), {owner, other_user}),
        (await accounts.withdraw(mine.id, money(1), ordered_by=other_user.id), {owner, other_user}),
    ]:
        for user in (owner, other_user, caller, unrelated):
            if user in readers:
                assert await accounts.get_transfer(entry.id, owner_id=user.id) == entry
            else:
                with raises(NotOwner("transfer", entry.id)):
                    await accounts.get_transfer(entry.id, owner_id=user.id)
        for owner_id in [UNKNOWN_ID, mine.id, theirs.id, entry.id, *malformed_ids(owner.id)]:
            with raises(NotOwner("transfer", entry.id)):
                await accounts.get_transfer(entry.id, owner_id=owner_id)
        assert await accounts.get_transfer(entry.id) == entry


@pytest.mark.rule("Ownership")
@needs_transactions("accounts.deposit")
async def test_transfers_of_an_owner_are_those_of_its_accounts(
    backend: Backend, owner: User, other_user: User, mine: Account, theirs: Account
) -> None:
    """A list has each entry of the user's accounts once, without entries that the user only ordered."""
    savings = await open_account(backend, owner, name="savings")
    accounts = backend.accounts
    entries = [
        (await accounts.deposit(theirs.id, money(9), ordered_by=owner.id), {other_user}),
        (await accounts.transfer(order_of(theirs, mine, 8), ordered_by=other_user.id), {owner, other_user}),
        (await accounts.transfer(order_of(mine, savings, 7), ordered_by=other_user.id), {owner}),
        (await accounts.transfer(order_of(savings, theirs, 6), ordered_by=owner.id), {owner, other_user}),
        (await accounts.withdraw(theirs.id, money(5), ordered_by=owner.id), {other_user}),
        (await accounts.withdraw(savings.id, money(1), ordered_by=other_user.id), {owner}),
    ]

    for user in (owner, other_user):
        seen = [entry for entry, users in entries if user in users]
        for sort in SORTS:
            rows = seen if sort == "created_at" else seen[::-1]
            page = await accounts.transfers(owner_id=user.id, sort=sort)
            assert page == Page.of(rows, count=4, next=None), sort
    assert await accounts.transfers() == Page.of([entry for entry, _ in entries][::-1], count=6, next=None)
    for owner_id in [UNKNOWN_ID, mine.id, *malformed_ids(owner.id)]:
        assert await accounts.transfers(owner_id=owner_id) == NOTHING


@needs_transactions("accounts.deposit")
async def test_transfers_fit_all_conditions(
    backend: Backend, clock: ManualClock, owner: User, mine: Account, theirs: Account
) -> None:
    """Time bounds work alone and together, with and without an owner; the count is of the whole list."""
    entries: list[Transfer] = []
    for n in range(10):
        account = (mine, theirs, mine)[n % 3]
        entries.append(await backend.accounts.deposit(account.id, money(1 + n), ordered_by=owner.id))
        clock.pass_by(seconds=1)
    times = [None, entries[0].created_at - MILLISECOND, entries[3].created_at, entries[8].created_at]

    for after in times:
        for before in times:
            for owner_id in (None, owner.id):
                fitting = [
                    entry
                    for entry in entries
                    if (after is None or entry.created_at > after)
                    and (before is None or entry.created_at < before)
                    and (owner_id is None or entry.to_account_id == mine.id)
                ]
                where = TransferFilter(created_after=after, created_before=before)
                for sort in SORTS:
                    rows = fitting if sort == "created_at" else fitting[::-1]
                    page = await backend.accounts.transfers(owner_id=owner_id, where=where, sort=sort)
                    assert page == Page.of(rows, count=len(rows), next=None), (where, owner_id, sort)
                    if len(rows) > 1:
                        first = await backend.accounts.transfers(
                            owner_id=owner_id, where=where, sort=sort, limit=1
                        )
                        rest = await backend.accounts.transfers(
                            owner_id=owner_id, where=where, sort=sort, after=first.next, count=False
                        )
                        assert first.data + rest.data == rows, (where, owner_id, sort)


@pytest.mark.rule("Identity")
@needs_transactions("accounts.deposit")
async def test_entry_may_have_the_id_of_an_account(
    backend: Backend, given_ids: Backend, ids: ManualIds, owner: User, mine: Account
) -> None:
    """Ids are unique per entity: an entry and an account with one id are found separately."""
    ids.upcoming = [mine.id]
    entry = await given_ids.accounts.deposit(mine.id, money(1), ordered_by=owner.id)
    other = await backend.accounts.deposit(mine.id, money(1), ordered_by=owner.id)

    assert entry.id == mine.id
    assert await backend.accounts.get_transfer(mine.id) == entry
    with raises(NotFound("account", other.id)):
        await backend.accounts.get(other.id)
    await backend.accounts.withdraw(mine.id, money(2), ordered_by=owner.id)
    await backend.accounts.delete(mine.id)
    assert await backend.accounts.get_transfer(mine.id) == entry
