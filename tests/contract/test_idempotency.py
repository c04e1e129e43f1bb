"""Idempotency: a call that is repeated with its key has the outcome that it had, and does nothing."""

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
    in_the_end,
    key,
    money,
    needs_transactions,
    open_account,
    order_of,
)
from .samples import UNKNOWN_ID, hex_id, new_account, new_user

pytestmark = pytest.mark.rule("Idempotency")


@dataclass(frozen=True)
class Desk:
    """What the calls are made with: an owner, an account with 100 EUR and an empty one."""

    owner: User
    full: Account
    empty: Account


Call = Callable[[Backend, Desk, Idempotency | None], Awaitable[Account | Transfer]]
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
    "add": CALLS["add"],  # refused only for what is not kept
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


async def _desk(backend: Backend, owner: User) -> Desk:
    full = await open_account(backend, owner, balance=100, name="full")
    return Desk(owner, full, await open_account(backend, owner, name="empty"))


@pytest.mark.rule("Lost connections")
@needs_transactions("accounts.deposit")
async def test_repeated_call_returns_the_first_outcome_and_does_nothing(
    backend: Backend, open_another: Opener, owner: User
) -> None:
    """As often as one likes, through any backend; an entry says with which key it was ordered."""
    desk, another = await _desk(backend, owner), await open_another()
    for name, call in CALLS.items():
        first = await call(backend, desk, key(name))
        before = await checked_books(backend)

        for through in (backend, another, another):
            assert await call(through, desk, key(name)) == first, name

        assert await books(backend) == before, name
        if isinstance(first, Transfer):
            assert first.idempotency_key == name
            assert await backend.accounts.get_transfer(first.id) == first
    accounts, entries = await books(backend)
    assert (len(accounts), len(entries)) == (3, 4)


@pytest.mark.rule("Lost connections")
@needs_transactions("accounts.deposit")
async def test_outcome_is_kept_when_everything_has_changed(backend: Backend, owner: User) -> None:
    """What was done stays the answer when the accounts have changed, and when they are gone."""
    desk = await _desk(backend, owner)
    outcomes = {name: await call(backend, desk, key(name)) for name, call in CALLS.items()}
    added = outcomes["add"]

    async def assert_kept() -> None:
        before = await checked_books(backend)
        for name, call in CALLS.items():
            assert await call(backend, desk, key(name)) == outcomes[name], name
        assert await books(backend) == before

    for account_id, amount in ((desk.full.id, 7), (desk.empty.id, 40)):
        await backend.accounts.withdraw(account_id, money(amount), ordered_by=owner.id)
    await assert_kept()
    await backend.accounts.deposit(added.id, money(1), ordered_by=owner.id)
    await assert_kept()
    await backend.accounts.withdraw(added.id, money(1), ordered_by=owner.id)
    for account_id in (added.id, desk.full.id, desk.empty.id):
        await backend.accounts.delete(account_id)
        await assert_kept()


@pytest.mark.rule("Lost connections")
@needs_transactions("accounts.deposit")
async def test_outcome_is_kept_when_its_user_is_gone(backend: Backend, owner: User, stranger: User) -> None:
    """Who ordered it may be deleted: a repetition that comes late still does nothing and says the same."""
    account = await open_account(backend, owner, balance=1)

    async def call() -> list[Account | Transfer]:
        return [
            await backend.accounts.add(new_account(), owner_id=stranger.id, idempotency=key("a")),
            await backend.accounts.deposit(
                account.id, money(5), ordered_by=stranger.id, idempotency=key("b")
            ),
        ]

    outcomes = await call()
    await backend.users.delete(stranger.id)
    before = await checked_books(backend)

    assert await call() == outcomes
    for name in ("a", "b"):
        with raises(IdempotencyKeyReused(name)):
            await backend.accounts.withdraw(
                account.id, money(1), ordered_by=stranger.id, idempotency=key(name, "another request")
            )
    assert await books(backend) == before


@needs_transactions("accounts.deposit")
async def test_key_with_another_fingerprint_is_refused(backend: Backend, owner: User) -> None:
    """Whichever operation used it and whichever tries: it does nothing, whatever else stands in its way."""
    desk = await _desk(backend, owner)
    for used_by, use in CALLS.items():
        first = await use(backend, desk, key(used_by))
        before = await checked_books(backend)

        for tried, call in [*CALLS.items(), *REFUSED.items()]:
            with raises(IdempotencyKeyReused(used_by)):
                await call(backend, desk, key(used_by, "another request"))
            assert await books(backend) == before, (used_by, tried)

        assert await use(backend, desk, key(used_by)) == first, used_by


@needs_transactions("accounts.deposit")
async def test_key_of_a_refusal_with_another_fingerprint_is_refused(backend: Backend, owner: User) -> None:
    """A key is used by a call that was refused, too."""
    desk = await _desk(backend, owner)
    for used_by in ("deposit", "withdraw", "transfer"):
        _, errors = await race([REFUSED[used_by](backend, desk, key(used_by))])
        assert len(errors) == 1
        before = await checked_books(backend)

        for tried, call in CALLS.items():
            with raises(IdempotencyKeyReused(used_by)):
                await call(backend, desk, key(used_by, "another request"))
            assert await books(backend) == before, (used_by, tried)

        assert await race([REFUSED[used_by](backend, desk, key(used_by))]) == ([], errors)


@needs_transactions("accounts.deposit")
async def test_calls_without_a_key_are_each_carried_out(backend: Backend, owner: User) -> None:
    """No key is no key: the same call again is another one, and says that it has none."""
    desk = await _desk(backend, owner)
    for name, call in CALLS.items():
        results = [await call(backend, desk, None) for _ in range(1 + (name != "withdraw"))]
        assert len({result.id for result in results}) == len(results), name
        assert {getattr(result, "idempotency_key", None) for result in results} == {None}, name
        if name == "deposit":
            await backend.accounts.deposit(desk.full.id, money(66), ordered_by=owner.id)
    accounts, entries = await checked_books(backend)
    assert (len(accounts), len(entries)) == (4, 7)


async def test_key_of_an_addition_that_can_not_be_kept_is_not_used(
    backend: Backend, given_ids: Backend, ids: ManualIds, owner: User
) -> None:
    """No owner and an id in use are told anew each time: when they no longer hold, the call is done."""
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
    """Twenty at once through two backends: one is done, and all return what it returned."""
    desk, both = await _desk(backend, owner), (backend, await open_another())
    accounts, entries = await checked_books(backend)

    results, errors = await race(
        in_the_end(partial(CALLS[name], both[n % 2], desk, key())) for n in range(20)
    )

    assert (len(results), errors) == (20, [])
    assert results == [results[0]] * 20
    added = (1, 0) if name == "add" else (0, 1)
    accounts_now, entries_now = await checked_books(backend)
    assert (len(accounts_now) - len(accounts), len(entries_now) - len(entries)) == added
    assert await CALLS[name](both[1], desk, key()) == results[0]
