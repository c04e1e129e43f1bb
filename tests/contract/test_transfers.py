"""Deposits, withdrawals and transfers: effects, boundaries, and the order of refusals."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from backends.errors import (
    BackendError,
    BalanceOverflow,
    CurrencyMismatch,
    InsufficientFunds,
    NotFound,
    NotOwner,
)
from backends.ids import is_id
from backends.models import MAX_MINOR, Account, NewEntry, NewTransfer, Page, User
from backends.protocols import Backend
from eitherdb_contract.clock import ManualClock

from .expectations import raises
from .money import (
    after,
    checked_books,
    key,
    money,
    needs_transactions,
    open_account,
    order_of,
    side,
)
from .samples import FULL_ENTRY, UNKNOWN_ID, malformed_ids
from .test_text import TEXTS
from .test_time import TIMES

pytestmark = pytest.mark.rule("Money")


async def _accounts(backend: Backend, owner: User, *balances: int, currency: str = "EUR") -> list[Account]:
    return [
        await open_account(backend, owner, balance=balance, name=f"{n}", currency=currency)
        for n, balance in enumerate(balances)
    ]


@needs_transactions("accounts.deposit")
async def test_entries_are_what_was_ordered(
    backend: Backend, owner: User, other_user: User, clock: ManualClock
) -> None:
    """The call itself and each read method return every field, and the accounts have changed."""
    account, other = await _accounts(backend, owner, 0, 0)
    clock.now = datetime(2026, 11, 23, 4, 5, 6, 7_000, tzinfo=UTC)
    clock.stop()
    entry = NewEntry.model_validate(FULL_ENTRY)
    transfer = NewTransfer(**FULL_ENTRY, from_account_id=account.id, to_account_id=other.id)
    amount, idempotency = entry.amount_minor, key("a key")
    accounts = backend.accounts

    done = [await accounts.deposit(account.id, entry, ordered_by=other_user.id, idempotency=idempotency)]
    account = after(account, done[0])
    done.append(await accounts.transfer(transfer, ordered_by=other_user.id, idempotency=key("b")))
    account, target = after(account, done[1]), after(other, done[1])
    done.append(await accounts.withdraw(other.id, entry, ordered_by=owner.id))

    blank = replace(done[0], id="", idempotency_key=None, source=None, target=None)
    start = replace(account, balance_minor=0, version=1)
    assert [replace(each, id="") for each in done] == [
        replace(blank, target=side(start, amount), idempotency_key="a key"),
        replace(
            blank,
            source=side(replace(start, balance_minor=amount, version=2), -amount),
            target=side(other, amount),
            idempotency_key="b",
        ),
        replace(blank, source=side(target, -amount), ordered_by=owner.id),
    ]
    assert (blank.amount_minor, blank.note, blank.ordered_by) == (amount, FULL_ENTRY["note"], other_user.id)
    assert {each.created_at for each in done} == {clock.now}
    assert len({each.id for each in done}) == 3
    assert all(is_id(each.id) for each in done)
    assert [await accounts.get_transfer(each.id) for each in done] == done
    newest_first = sorted(done, key=lambda each: each.id, reverse=True)
    assert await accounts.transfers() == Page.of(newest_first, count=3, next=None)
    assert await checked_books(backend) == ([after(target, done[2]), account], newest_first)


@pytest.mark.rule("Text", "Time")
@needs_transactions("accounts.deposit")
async def test_note_and_time_are_kept_as_they_are(
    backend: Backend, clock: ManualClock, owner: User
) -> None:
    """No note, an empty note and any text differ; a time of any year is kept."""
    (account,) = await _accounts(backend, owner, 0)
    clock.stop()
    for n, note in enumerate([None, "", *TEXTS.values(), "\U0010ffff" * 255]):
        clock.now = TIMES[n % len(TIMES)]
        entry = await backend.accounts.deposit(account.id, money(1, note), ordered_by=owner.id)
        assert (entry.note, entry.created_at) == (note, clock.now), ascii(note)
        assert await backend.accounts.get_transfer(entry.id) == entry, ascii(note)


@pytest.mark.rule("Numbers")
@needs_transactions("accounts.deposit")
async def test_amounts_reach_from_nothing_to_the_most_an_account_holds(
    backend: Backend, owner: User
) -> None:
    """The whole balance can be withdrawn and the account filled to the maximum; amounts are exact."""
    most = MAX_MINOR
    source, target = await _accounts(backend, owner, most, 0)
    for amount in (1, 2**31 - 1, 2**31, 2**52 + 1, most - 2**52 - 2**32 - 1):
        moved = await backend.accounts.transfer(order_of(source, target, amount), ordered_by=owner.id)
        assert moved.source == side(source, -amount)
        assert moved.target == side(target, amount)
        source, target = after(source, moved), after(target, moved)
    assert (source.balance_minor, target.balance_minor) == (0, most)

    whole = await backend.accounts.transfer(order_of(target, source, most), ordered_by=owner.id)
    source, target = after(source, whole), after(target, whole)
    assert (source.balance_minor, target.balance_minor) == (most, 0)
    out = await backend.accounts.withdraw(source.id, money(most), ordered_by=owner.id)

    assert out.source == side(source, -most)
    assert (await checked_books(backend))[0] == [target, after(source, out)]


@pytest.mark.rule("Numbers")
@needs_transactions("accounts.deposit")
async def test_amounts_beyond_the_boundaries_are_refused(backend: Backend, owner: User) -> None:
    """One unit more than the balance or the maximum is refused; balance and version don't change."""
    nine, most, all_but_four = await _accounts(backend, owner, 9, MAX_MINOR, MAX_MINOR - 4)
    empty, _ = await _accounts(backend, owner, 0, 0)
    before = await checked_books(backend)
    accounts, by = backend.accounts, owner.id

    for source, target, amount, error in [
        (nine, empty, 10, InsufficientFunds(nine.id)),
        (nine, empty, MAX_MINOR, InsufficientFunds(nine.id)),
        (empty, nine, 1, InsufficientFunds(empty.id)),
        (nine, most, 1, BalanceOverflow(most.id)),
        (nine, all_but_four, 5, BalanceOverflow(all_but_four.id)),
        (most, all_but_four, MAX_MINOR, BalanceOverflow(all_but_four.id)),
        (nine, most, 10, InsufficientFunds(nine.id)),
        (None, most, 1, BalanceOverflow(most.id)),
        (None, most, MAX_MINOR, BalanceOverflow(most.id)),
        (None, all_but_four, 5, BalanceOverflow(all_but_four.id)),
        (None, nine, MAX_MINOR - 8, BalanceOverflow(nine.id)),
        (nine, None, 10, InsufficientFunds(nine.id)),
        (empty, None, 1, InsufficientFunds(empty.id)),
        (all_but_four, None, MAX_MINOR - 3, InsufficientFunds(all_but_four.id)),
    ]:
        with raises(error):
            if source is None and target is not None:
                await accounts.deposit(target.id, money(amount), ordered_by=by)
            elif source is not None and target is None:
                await accounts.withdraw(source.id, money(amount), ordered_by=by)
            elif source is not None and target is not None:
                await accounts.transfer(order_of(source, target, amount), ordered_by=by)
        assert await checked_books(backend) == before, (source, target, amount)

    moved = await accounts.transfer(order_of(nine, all_but_four, 4), ordered_by=by)
    assert moved.target == side(all_but_four, 4)


@needs_transactions("accounts.deposit")
async def test_transfer_raises_the_first_error_in_order(
    backend: Backend, owner: User, other_user: User
) -> None:
    """The first applicable error in the order of the contract is raised; nothing changes."""
    full, empty = await _accounts(backend, owner, MAX_MINOR, 0)
    foreign, foreign_full = await _accounts(backend, other_user, 0, MAX_MINOR, currency="USD")
    before = await checked_books(backend)
    missing, source_missing = NotFound("account", UNKNOWN_ID), "0" * 24

    cases: list[tuple[Account | str, Account | str, int, str | None, BackendError]] = [
        (source_missing, UNKNOWN_ID, 1, other_user.id, NotFound("account", source_missing)),
        (source_missing, full, 1, UNKNOWN_ID, NotFound("account", source_missing)),
        (empty, UNKNOWN_ID, 1, None, missing),
        (empty, UNKNOWN_ID, MAX_MINOR, owner.id, missing),
        (full, UNKNOWN_ID, 1, owner.id, missing),
        (empty, UNKNOWN_ID, 1, other_user.id, NotOwner("account", empty.id)),
        (empty, full, 1, other_user.id, NotOwner("account", empty.id)),
        (empty, foreign_full, 1, other_user.id, NotOwner("account", empty.id)),
        (foreign_full, full, 1, owner.id, NotOwner("account", foreign_full.id)),
        (full, empty, 1, UNKNOWN_ID, NotOwner("account", full.id)),
        (full, empty, 1, full.id, NotOwner("account", full.id)),
        (empty, foreign_full, 1, owner.id, CurrencyMismatch("EUR", "USD")),
        (foreign_full, full, MAX_MINOR, None, CurrencyMismatch("USD", "EUR")),
        (full, foreign, 1, owner.id, CurrencyMismatch("EUR", "USD")),
        (empty, full, 1, owner.id, InsufficientFunds(empty.id)),
        (empty, full, MAX_MINOR, None, InsufficientFunds(empty.id)),
        *((full, empty, 1, id_, NotOwner("account", full.id)) for id_ in malformed_ids(owner.id)),
    ]
    for source, target, amount, owner_id, error in cases:
        with raises(error):
            await backend.accounts.transfer(
                order_of(source, target, amount), ordered_by=owner.id, owner_id=owner_id
            )
    assert await checked_books(backend) == before


@needs_transactions("accounts.deposit")
async def test_moves_of_unknown_accounts_raise_not_found(backend: Backend, owner: User) -> None:
    """Unknown and malformed ids raise the same error for source and target; no money moves."""
    (account,) = await _accounts(backend, owner, 9)
    before = await checked_books(backend)
    accounts, by = backend.accounts, owner.id

    for id_ in [UNKNOWN_ID, owner.id, *malformed_ids(account.id)]:
        with raises(NotFound("account", id_)):
            await accounts.deposit(id_, money(1), ordered_by=by)
        with raises(NotFound("account", id_)):
            await accounts.withdraw(id_, money(1), ordered_by=by)
        for source, target in ((id_, account.id), (account.id, id_)):
            with raises(NotFound("account", id_)):
                await accounts.transfer(order_of(source, target, 1), ordered_by=by, owner_id=by)
        with raises(NotFound("transfer", id_)):
            await accounts.get_transfer(id_, owner_id=by)

    assert await checked_books(backend) == before
