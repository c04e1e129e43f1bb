"""Idempotency: a repeated call with the same key returns the first outcome and changes nothing."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial

import pytest

from backends.capabilities import Capability
from backends.errors import (
    AlreadyExists,
    BackendError,
    IdempotencyKeyReused,
    NotFound,
    NotSupported,
)
from backends.models import Account, Idempotency, Transfer, User
from backends.protocols import Backend

from .conftest import ManualIds, Opener
from .expectations import race, raises
from .money import (
    books,
    checked_books,
    key,
    money,
    needs_transactions,
    open_account,
    order_of,
    retry_conflicts,
)
from .samples import UNKNOWN_ID, hex_id, new_account, new_user

pytestmark = pytest.mark.rule("Idempotency")


@dataclass(frozen=True)
class CallData:
    """The data of a call: an owner, an account with 100 EUR and an empty account."""

    owner: User
    full: Account
    empty: Account


Call = Callable[[Backend, CallData, Idempotency | None], Awaitable[Account | Transfer]]
CALLS: dict[str, Call] = {
    "add": lambda b, d, k: b.accounts.add(new_account(7), owner_id=d.owner.id, idempotency=k),
    "deposit": lambda b, d, k: b.accounts.deposit(
        d.full.id, money(7, "in"), ordered_by=d.owner.id, idempotency=k
    ),
    "withdraw": lambda b, d, k: b.accounts.withdraw(
        d.full.id, money(60, "out"), ordered_by=d.owner.id, idempotency=k
    ),
    "transfer": lambda b, d, k: b.accounts.transfer(
        order_of(d.full, d.empty, 40), ordered_by=d.owner.id, owner_id=d.owner.id, idempotency=k
    ),
}
REFUSED: dict[str, Call] = {
    "add": CALLS["add"],  # Refused only because the outcome can't be stored.
    "deposit": lambda b, d, k: b.accounts.deposit(
        UNKNOWN_ID, money(1), ordered_by=d.owner.id, idempotency=k
    ),
    "withdraw": lambda b, d, k: b.accounts.withdraw(
        d.empty.id, money(1), ordered_by=d.owner.id, idempotency=k
    ),
    "transfer": lambda b, d, k: b.accounts.transfer(
        order_of(d.full, d.empty, 1), ordered_by=d.owner.id, owner_id=UNKNOWN_ID, idempotency=k
    ),
}


async def _call_data(backend: Backend, owner: User) -> CallData:
    full = await open_account(backend, owner, balance=100, name="full")
    return CallData(owner, full, await open_account(backend, owner, name="empty"))


@pytest.mark.rule("Lost connections")
@needs_transactions("accounts.deposit")
async def test_repeated_call_returns_the_first_outcome_and_does_nothing(
    backend: Backend, open_another: Opener, owner: User
) -> None:
    """Any number of repetitions through any backend return the first outcome. An entry has its key."""
    data, another = await _call_data(backend, owner), await open_another()
    for name, call in CALLS.items():
        first = await call(backend, data, key(name))
        before = await checked_books(backend)

        for through in (backend, another, another):
            assert await call(through, data, key(name)) == first, name

        assert await books(backend) == before, name
        if isinstance(first, Transfer):
            assert first.idempotency_key == name
            assert await backend.accounts.get_transfer(first.id) == first
    accounts, entries = await books(backend)
    assert (len(accounts), len(entries)) == (3, 4)


@pytest.mark.rule("Lost connections")
@needs_transactions("accounts.deposit")
async def test_outcome_is_kept_when_everything_has_changed(backend: Backend, owner: User) -> None:
    """The outcome stays the same when the accounts have changed or are deleted."""
    data = await _call_data(backend, owner)
    outcomes = {name: await call(backend, data, key(name)) for name, call in CALLS.items()}
    added = outcomes["add"]

    async def assert_kept() -> None:
        before = await checked_books(backend)
        for name, call in CALLS.items():
            assert await call(backend, data, key(name)) == outcomes[name], name
        assert await books(backend) == before

    for account_id, amount in ((data.full.id, 7), (data.empty.id, 40)):
        await backend.accounts.withdraw(account_id, money(amount), ordered_by=owner.id)
    await assert_kept()
    await backend.accounts.deposit(added.id, money(1), ordered_by=owner.id)
    await assert_kept()
    await backend.accounts.withdraw(added.id, money(1), ordered_by=owner.id)
    for account_id in (added.id, data.full.id, data.empty.id):
        await backend.accounts.delete(account_id)
        await assert_kept()


@pytest.mark.rule("Lost connections")
@needs_transactions("accounts.deposit")
async def test_outcome_is_kept_when_its_user_is_gone(
    backend: Backend, owner: User, other_user: User
) -> None:
    """The outcome stays the same when the caller is deleted, and a late repetition changes nothing."""
    account = await open_account(backend, owner, balance=1)

    async def call() -> list[Account | Transfer]:
        return [
            await backend.accounts.add(new_account(), owner_id=other_user.id, idempotency=key("a")),
            await backend.accounts.deposit(
                account.id, money(5), ordered_by=other_user.id, idempotency=key("b")
            ),
        ]

    outcomes = await call()
    await backend.users.delete(other_user.id)
    before = await checked_books(backend)

    assert await call() == outcomes
    for name in ("a", "b"):
        with raises(IdempotencyKeyReused(name)):
            await backend.accounts.withdraw(
                account.id, money(1), ordered_by=other_user.id, idempotency=key(name, "another request")
            )
    assert await books(backend) == before


@needs_transactions("accounts.deposit")
async def test_key_with_another_fingerprint_is_refused(backend: Backend, owner: User) -> None:
    """A key with a different fingerprint is refused before any other check, for every operation."""
    data = await _call_data(backend, owner)
    for used_by, use in CALLS.items():
        first = await use(backend, data, key(used_by))
        before = await checked_books(backend)

        for tried, call in [*CALLS.items(), *REFUSED.items()]:
            with raises(IdempotencyKeyReused(used_by)):
                await call(backend, data, key(used_by, "another request"))
            assert await books(backend) == before, (used_by, tried)

        assert await use(backend, data, key(used_by)) == first, used_by


@needs_transactions("accounts.deposit")
async def test_key_of_a_refusal_with_another_fingerprint_is_refused(backend: Backend, owner: User) -> None:
    """A refused call uses up its key, too."""
    data = await _call_data(backend, owner)
    for used_by in ("deposit", "withdraw", "transfer"):
        _, errors = await race([REFUSED[used_by](backend, data, key(used_by))])
        assert len(errors) == 1
        before = await checked_books(backend)

        for tried, call in CALLS.items():
            with raises(IdempotencyKeyReused(used_by)):
                await call(backend, data, key(used_by, "another request"))
            assert await books(backend) == before, (used_by, tried)

        assert await race([REFUSED[used_by](backend, data, key(used_by))]) == ([], errors)


@needs_transactions("accounts.deposit")
async def test_calls_without_a_key_are_each_carried_out(backend: Backend, owner: User) -> None:
    """Calls without a key are all carried out, and their entries have no key."""
    data = await _call_data(backend, owner)
    for name, call in CALLS.items():
        results = [await call(backend, data, None) for _ in range(1 + (name != "withdraw"))]
        assert len({result.id for result in results}) == len(results), name
        assert {getattr(result, "idempotency_key", None) for result in results} == {None}, name
        if name == "deposit":
            await backend.accounts.deposit(data.full.id, money(66), ordered_by=owner.id)
    accounts, entries = await checked_books(backend)
    assert (len(accounts), len(entries)) == (4, 7)


async def test_key_of_an_addition_that_can_not_be_kept_is_not_used(
    backend: Backend, given_ids: Backend, ids: ManualIds, owner: User
) -> None:
    """An unknown owner and a duplicate id don't use up the key: the call succeeds once they are gone."""
    first = await backend.accounts.add(new_account(), owner_id=owner.id)
    can = Capability.TRANSACTIONS in backend.capabilities
    refusal = NotSupported("accounts.add with an idempotency key", Capability.TRANSACTIONS)
    add = given_ids.accounts.add
    cases: list[tuple[str, str, BackendError]] = [
        (UNKNOWN_ID, hex_id(1), NotFound("user", UNKNOWN_ID)),
        (owner.id, first.id, AlreadyExists("account", "id")),
    ]

    for owner_id, id_, error in cases:
        for request in ("request", "another request"):
            ids.upcoming = [id_]
            with raises(error if can else refusal):
                await add(new_account(1), owner_id=owner_id, idempotency=key("key", request))
        assert await books(backend) == ([first], [])
    if can:
        ids.upcoming = [UNKNOWN_ID]
        user = await given_ids.users.add(new_user(9))
        for owner_id, id_ in ((user.id, hex_id(1)), (owner.id, hex_id(2))):
            ids.upcoming = [id_]
            for _ in range(2):
                added = await add(new_account(1), owner_id=owner_id, idempotency=key())
                assert (added.id, added.owner_id) == (id_, owner_id)
        assert len((await books(backend))[0]) == 3


@needs_transactions("accounts.deposit")
@pytest.mark.parametrize("name", CALLS)
async def test_concurrent_calls_with_one_key_are_carried_out_once(
    backend: Backend, open_another: Opener, owner: User, name: str
) -> None:
    """One of twenty concurrent calls through two backends is carried out; all return its result."""
    data, both = await _call_data(backend, owner), (backend, await open_another())
    accounts, entries = await checked_books(backend)

    results, errors = await race(
        retry_conflicts(partial(CALLS[name], both[n % 2], data, key())) for n in range(20)
    )

    assert (len(results), errors) == (20, [])
    assert results == [results[0]] * 20
    added = (1, 0) if name == "add" else (0, 1)
    accounts_now, entries_now = await checked_books(backend)
    assert (len(accounts_now) - len(accounts), len(entries_now) - len(entries)) == added
    assert await CALLS[name](both[1], data, key()) == results[0]
